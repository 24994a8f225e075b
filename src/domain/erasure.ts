/** Whose data an erasure takes out, and until when. */
import type { Catalog } from './catalog.ts'
import type { Choice, Choices, ConsentRecord, Standing } from './consent.ts'

export type ErasureOrigin = 'person' | 'team' | 'withdrawal'

/**
 * One erasure as it was asked for. With an account: what that account sent, with a device too only what it sent from there.
 * With a device alone: whatever came from it. `purpose` narrows it to what the consent that was withdrawn had permitted.
 */
export interface Erasure {
  /** Starts with the partition of the subject, so that the id alone finds it. */
  id: string
  accountId: string | null
  deviceId: string | null
  purpose: string | null
  requestedBy: ErasureOrigin
  reason: string
  /** Epoch ms. What was captured until then is erased, and stays out. */
  until: number
}

/** What a certificate says of one table. Rows are counted as they lie in the files, repeated ones too. */
export interface ErasedTable { table: string, rows_before: number, rows_after: number }
export interface ErasedBatches { batches: number, events_removed: number }

/** What is left of an erasure: it counts, and holds nothing that was erased. */
export interface ErasureCertificate {
  id: string
  subject: { account_id?: string, device_id?: string }
  purpose?: string
  reason: string
  requested_by: ErasureOrigin
  requested_at: string
  erased_until: string
  completed_at: string
  tables: readonly ErasedTable[]
  queue: ErasedBatches
  dead_letters: ErasedBatches
  devices_forgotten: number
  kept: ReadonlyArray<{ table: string, why: string }>
  /** A compact JWS over all of the above, by a key of `/.well-known/jwks.json`. */
  signature?: string
}

/** Whether what an owner sent is what an erasure is about. */
export function concerns (erasure: Erasure, owner: { accountId?: string | undefined, deviceId?: string | undefined }): boolean {
  if (erasure.accountId !== null && owner.accountId !== erasure.accountId) return false
  if (erasure.deviceId !== null && owner.deviceId !== erasure.deviceId) return false
  return !isSignedOutOnly(erasure) || owner.accountId === undefined
}

/** A choice made while nobody was signed in speaks for signed-out use alone; an erasure of a device is about whoever used it. */
export function isSignedOutOnly ({ accountId, purpose }: Erasure): boolean {
  return accountId === null && purpose !== null
}

/** Whether something of these owners has been erased, so that an event of theirs may be one that was. */
export function mayMeetErased ({ account, deviceAlone }: Pick<Standing, 'account' | 'deviceAlone'>, catalog: Pick<Catalog, 'purposes'>): boolean {
  const erasing = new Set(catalog.purposes.filter(({ onWithdrawal }) => onWithdrawal === 'erase').map(({ id }) => id))
  const wasDenied = ({ state, deniedUntil }: Choice): boolean => state === 'denied' || deniedUntil > 0
  const wasWithdrawn = (choices: Choices): boolean => Object.entries(choices).some(([purpose, choice]) => erasing.has(purpose) && wasDenied(choice))
  const wasErased = ({ erasedAt, account: choices, devices }: ConsentRecord): boolean =>
    erasedAt > 0 || (erasing.size > 0 && [choices, ...Object.values(devices)].some(wasWithdrawn))
  return [account, deviceAlone].some(record => record !== undefined && wasErased(record))
}

/** What stays, and why: it is the evidence that consent was asked and obeyed, or counts without a person. `left`: batches given up that nobody can read. */
export function keptAfter (erasure: Erasure, left: number): Array<{ table: string, why: string }> {
  return [
    { table: 'consent_ledger', why: 'shows what was agreed to and withdrawn, and when' },
    { table: 'erasures', why: 'shows that this erasure was asked for and done, and keeps the data out' },
    { table: 'security_events', why: 'shows how the account was protected' },
    { table: 'access_log', why: 'shows who asked about the account, and why' },
    { table: 'decision_counts', why: 'counts without account, device or payload' },
    { table: 'erased_events', why: 'ids of events and nothing else; keeps out what is delivered again' },
    ...(left === 0 ? [] : [{ table: 'batches given up', why: `${String(left)} cannot be read, and may hold what was collected for another purpose` }]),
    ...(erasure.purpose === null ? [] : [{ table: 'events of other purposes', why: 'a field in them that the withdrawn purpose had permitted stays with its event' }]),
    ...(erasure.accountId === null ? [{ table: 'seen devices', why: 'each account\'s own list names the device in its settings' }] : []),
    { table: 'replaced files of events', why: 'ClickHouse deletes them some eight minutes after it has written the new ones' },
    { table: 'files of finished mutations', why: 'name the pseudonyms that were deleted, until ClickHouse has finished a hundred more' },
    { table: 'append-only file of Redis', why: 'holds batches that have left the queue until Redis next rewrites it' },
    { table: 'backups', why: 'beyond the reach of this service' }
  ]
}

export function describeSubject ({ accountId, deviceId }: Pick<Erasure, 'accountId' | 'deviceId'>): ErasureCertificate['subject'] {
  return { ...(accountId === null ? {} : { account_id: accountId }), ...(deviceId === null ? {} : { device_id: deviceId }) }
}
