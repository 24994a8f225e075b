/** What happened to the protection of an account: kept for the person to read, and mailed to them. */

export const securityEventKinds = [
  'two_step_enabled', 'two_step_replaced', 'two_step_disabled', 'two_step_disable_scheduled', 'two_step_disable_cancelled',
  'two_step_reset', 'backup_codes_regenerated', 'backup_code_used', 'email_used_instead', 'account_locked',
  'authenticator_suspended', 'account_unlocked'
] as const
export type SecurityEventKind = typeof securityEventKinds[number]

export interface SecurityEvent {
  event_id: string
  account_id: string
  kind: SecurityEventKind
  /** Epoch ms. */
  at: number
  actor: 'user' | 'admin' | 'system'
  /** Which administrator, as their token names them; null where it was none, or before it was kept. The person is not told. */
  actor_subject: string | null
  /** What an admin gave as the reason. */
  reason: string | null
  /** Backup codes that are left, where it matters. */
  remaining: number | null
  /** When something announced takes effect, epoch ms. */
  effective_at: number | null
  /** Where the letter about it goes, sealed; null when no address is known. */
  mail_to: string | null
}

/** Where an event stands in the log: two of one millisecond differ in their id. `at`: epoch ms. */
export interface SecurityEventPlace { at: number, id: string }
