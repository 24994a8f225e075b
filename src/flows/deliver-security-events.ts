/** What happened to an account's protection is mailed to its person, whether or not the log can take it at the time. */
import type { SecurityEvent } from '../domain/security-event.ts'

export interface DeliverSecurityEventsDeps<Waiting extends { entry: SecurityEvent }> {
  stream: { untold: (max: number) => Promise<Waiting[]>, markTold: (told: readonly Waiting[]) => Promise<void> }
  /** Undefined when the key that sealed it is gone: then the others are told all the same. */
  openAddress: (accountId: string, sealed: string) => { to: string, language: string | null } | undefined
  /** Queues the letter; the same event again is the same letter. */
  post: (address: { to: string, language: string | null }, event: SecurityEvent) => Promise<void>
  entriesMax: number
}

/** Queues the letters about what is new, and says how much that was. The place is marked last, since not told is worse than posted again. */
export async function deliverSecurityEvents<Waiting extends { entry: SecurityEvent }> (
  { stream, openAddress, post, entriesMax }: DeliverSecurityEventsDeps<Waiting>
): Promise<number> {
  const untold = await stream.untold(entriesMax)
  for (const { entry } of untold) {
    const address = entry.mail_to === null ? undefined : openAddress(entry.account_id, entry.mail_to)
    if (address !== undefined) await post(address, entry)
  }
  if (untold.length > 0) await stream.markTold(untold)
  return untold.length
}
