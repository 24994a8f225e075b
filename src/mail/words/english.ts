import { showMoment, type Language } from './language.ts'

const notYou = 'If it was not you, change your password and write to the privacy contact named in your settings.'

export const english: Language = content => {
  switch (content.kind) {
    case 'verification_code': return {
      subject: 'Your verification code',
      lines: [
        'Someone, we hope you, wants to change settings of your account. The code is:', content.code,
        `It is valid for ${String(content.minutes)} minutes and can be used once.`, 'If it was not you, do nothing: without the code nothing changes.'
      ]
    }
    case 'two_step_enabled': return { subject: '2-step verification is on', lines: ['2-step verification with an authenticator app was turned on for your account.', notYou] }
    case 'two_step_replaced': return { subject: 'Your authenticator app was replaced', lines: ['Another authenticator app now verifies changes of your account. The old one no longer does, and earlier backup codes are void.', notYou] }
    case 'two_step_disabled': return { subject: '2-step verification is off', lines: ['2-step verification was turned off for your account. We recommend that you turn it on again.', notYou] }
    case 'two_step_disable_scheduled': return {
      subject: '2-step verification will be turned off',
      lines: [`Someone asked, with a code sent to this address, to turn 2-step verification off. It will be off from ${showMoment('en', content.effectiveAt)}.`, 'If it was not you, cancel this in your security settings.']
    }
    case 'two_step_disable_cancelled': return { subject: '2-step verification stays on', lines: ['The request to turn 2-step verification off was cancelled.', notYou] }
    case 'two_step_reset': return { subject: '2-step verification was reset', lines: ['An administrator turned 2-step verification off for your account, so that you can set it up anew.', notYou] }
    case 'backup_codes_regenerated': return { subject: 'You have new backup codes', lines: ['New backup codes were made for your account. Earlier ones are void.', notYou] }
    case 'backup_code_used': return {
      subject: 'A backup code was used',
      lines: [`A backup code of your account was used. ${String(content.remaining)} are left.`, ...(content.low ? ['Few are left: make new ones in your security settings.'] : []), notYou]
    }
    case 'email_used_instead': return { subject: 'An e-mailed code was used', lines: ['A code sent to this address was used instead of your authenticator app.', notYou] }
    case 'account_locked': return {
      subject: 'Too many wrong codes', lines: [`Too many wrong codes were entered for your account. No code is accepted until ${showMoment('en', content.effectiveAt)}.`, notYou]
    }
    case 'authenticator_suspended': return {
      subject: 'Your authenticator app is suspended',
      lines: ['Too many wrong codes of an authenticator app were entered for your account, so its codes are not accepted any more.', 'Replace the app with one of your backup codes, or ask support to reset it.']
    }
    case 'account_unlocked': return { subject: 'Your account is unlocked', lines: ['An administrator lifted the lock on verification for your account.', notYou] }
  }
}
