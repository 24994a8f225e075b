import fc from 'fast-check'
import t from 'tap'
import { addressHint, isAddress, lockAfter, normaliseCode, verificationPurposes, type Method } from '../../src/domain/verification.ts'
import { acceptedMethods, type TwoStepStatus } from '../../src/domain/verification-gate.ts'

t.test('every fifth failure in a row locks the account, for longer each time up to an hour', async t => {
  const seconds = Array.from({ length: 41 }, (_, failures) => lockAfter(failures) / 1000)
  const locks = Object.fromEntries(seconds.flatMap((lock, failures) => lock === 0 ? [] : [[failures, lock]]))
  t.same(locks, { 5: 30, 10: 120, 15: 480, 20: 1920, 25: 3600, 30: 3600, 35: 3600, 40: 3600 })
  t.equal(lockAfter(1000), 3_600_000)
})

t.test('a code is the same code however it is spaced', async t => {
  t.equal(normaliseCode(' 012 345\n'), '012345')
  t.equal(normaliseCode('012-345'), '012345')
  t.equal(normaliseCode('012\u2013345'), '012345', 'an en dash')
  t.equal(normaliseCode('012\u2011345'), '012345', 'a hyphen that does not break')
  t.equal(normaliseCode('\uff10\uff11\uff12\uff13\uff14\uff15'), '012345', 'full-width digits')
  t.equal(normaliseCode('01\u00a02345'), '012345', 'a space that does not break')
  const filler = fc.array(fc.constantFrom(' ', '-', '\t', '\u2003', '\u2010'), { maxLength: 3 }).map(all => all.join(''))
  fc.assert(fc.property(fc.array(fc.tuple(filler, fc.constantFrom(...'0123456789')), { maxLength: 12 }), typed =>
    normaliseCode(typed.flat().join('')) === typed.map(([, digit]) => digit).join('')))
})

t.test('to normalise makes no other code of what is none', async t => {
  for (const typed of ['+12345', '1e5', '12345', '0x12345', '12345a', '']) t.notMatch(normaliseCode(typed), /^[0-9]{6}$/, typed)
  fc.assert(fc.property(fc.string({ unit: 'binary' }), typed => normaliseCode(normaliseCode(typed)) === normaliseCode(typed)))
})

t.test('an address is hinted at by its first letter and its domain', async t => {
  t.equal(addressHint('ada@example.com'), 'a***@example.com')
  t.equal(addressHint('a@b@example.com'), 'a***@example.com')
  t.equal(addressHint('\u{1f600}@example.com'), '\u{1f600}***@example.com')
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.domain(), (local, domain) => addressHint(`${local}@${domain}`).isWellFormed()))
})

t.test('one address is an address, and nothing else is', async t => {
  fc.assert(fc.property(fc.emailAddress(), isAddress))
  for (const text of ['jörg@bücher.example', "o'neill+x@mail.example.com"]) t.ok(isAddress(text), text)
  const none = ['', '@', 'a', 'a@', '@b.example', 'a@b', '.a@b.example', 'a..b@c.example', 'a@b..example', 'a@-b.example', 'a b@c.example', 'a@b.example,c@d.example', 'a@b.example;', '<a@b.example>', 'a@b.example\n', 'a\u0000@b.example', '\ud800@b.example', '"a"@b.example', `${'a'.repeat(320)}@b.example`]
  for (const text of none) t.notOk(isAddress(text), JSON.stringify(text).slice(0, 40))
})

t.test('each purpose accepts the methods it should, by the state of the account', async t => {
  const methodsOf = (twoStep: TwoStepStatus, accountKind: 'personal' | 'organization' = 'personal'): Record<string, unknown> =>
    Object.fromEntries(verificationPurposes.map(purpose => {
      const answer = acceptedMethods(purpose, { accountKind, twoStep })
      return [purpose, answer.open ? [...answer.methods].sort().join(' ') : answer.reason]
    }))
  const strong = 'backup_code totp'
  const any = 'backup_code email totp'
  const on = {
    'privacy.update': any, 'data.export': strong, 'data.erase': strong, 'two_step.enroll': 'two-step-already-on', 'two_step.replace': strong,
    'two_step.disable': any, 'backup_codes.regenerate': strong, sign_in: any
  }
  t.same(methodsOf('on'), on)
  t.same(methodsOf('suspended'), on, 'suspended counts as on')
  t.same(methodsOf('off'), {
    'privacy.update': 'email', 'data.export': 'email', 'data.erase': 'email', 'two_step.enroll': 'email', 'two_step.replace': 'two-step-off',
    'two_step.disable': 'two-step-off', 'backup_codes.regenerate': 'two-step-off', sign_in: 'email'
  })
  const managed = 'managed-by-organization'
  for (const twoStep of ['off', 'on', 'suspended'] as const) {
    t.same(methodsOf(twoStep, 'organization'), {
      'privacy.update': 'email', 'data.export': 'email', 'data.erase': 'email', 'two_step.enroll': managed, 'two_step.replace': managed,
      'two_step.disable': managed, 'backup_codes.regenerate': managed, sign_in: managed
    })
  }
  const methods: Method[] = ['email']
  t.same(acceptedMethods('privacy.update', { accountKind: 'personal', twoStep: 'off' }), { open: true, methods })
})
