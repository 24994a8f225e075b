/** What happened to an account's protection is mailed to its person and kept in the log. */
import type { SecurityEvent } from '../domain/security-event.ts'

export interface DeliverSecurityEventsDeps {
  log: { insert: (events: readonly SecurityEvent[]) => Promise<void> }
  /** Undefined when the key that sealed it is gone. */
  openAddress: (sealed: string) => { to: string, language: string | null } | undefined
  post: (address: { to: string, language: string | null }, event: SecurityEvent) => Promise<void>
}

/** The letters go first: told twice after a crash is better than not told. */
export function makeDeliverSecurityEvents (deps: DeliverSecurityEventsDeps): (events: readonly SecurityEvent[]) => Promise<void> {
  return async events => {
    for (const event of events) {
      const address = event.mail_to === null ? undefined : deps.openAddress(event.mail_to)
      if (address !== undefined) await deps.post(address, event)
    }
    await deps.log.insert(events)
  }
}
