/** What each language has words for. */

/** What a letter is about, and what it must say. Times are epoch ms. */
export type LetterContent =
  { kind: 'verification_code', code: string, minutes: number } |
  { kind: 'two_step_enabled' | 'two_step_replaced' | 'two_step_disabled' | 'two_step_disable_cancelled' | 'two_step_reset' | 'backup_codes_regenerated' | 'email_used_instead' | 'authenticator_suspended' | 'account_unlocked' } |
  { kind: 'two_step_disable_scheduled' | 'account_locked', effectiveAt: number } |
  { kind: 'backup_code_used', remaining: number, low: boolean }

export interface Words { subject: string, lines: string[] }
export type Language = (content: LetterContent) => Words

/** A moment in UTC, as people read it. */
export function showMoment (locale: string, ms: number): string {
  return `${new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(ms)} UTC`
}
