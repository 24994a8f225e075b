/** What the flows need from the edges. Each edge implements its part; the tests use the real ones. */
import type { DecisionCount } from '../domain/event.ts'
import type { ConsentRecord, OrgPolicy, Standing } from '../domain/consent.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { LedgerEntry, Subject, VerifiedBy } from '../domain/ledger.ts'
import { Unavailable } from '../domain/unavailable.ts'

/** Who posted a batch: what the writer needs to ask consent again. */
export interface BatchOwner {
  accountId: string | undefined
  deviceId: string | undefined
  orgId: string | undefined
  region: string | undefined
}

/**
 * Rows of one batch that are of one kind and depend on the same purposes: the event's own, and those of the gated fields
 * that are still in them. What consent still covers is passed on whole. Each column has one value for each row, times are
 * epoch ms.
 */
export interface Frame {
  name: string
  version: number
  purpose: string
  reason: string
  consentEntry: string | null
  fieldPurposes: readonly string[]
  /** The earliest capture in the frame: what permits it permits them all. */
  firstCapturedAt: number
  eventIds: string[]
  occurredAt: number[]
  capturedAt: number[]
  /** JSON text. */
  properties: string[]
}

/** The accepted rows of one batch. `sentAt`: epoch ms, by its client's clock. */
export interface BatchRows {
  productVersion: string
  accountRef: string
  deviceRef: string
  batchId: string
  sentAt: number
  frames: readonly Frame[]
}

/**
 * One accepted request, as it waits in the queue. Versions of the service meet there, so a change of it raises `schema`,
 * and what is read without `body` stays: `requestId`, `owner`, `receivedAt`, `counts`.
 */
export interface QueuedBatch {
  schema: 5
  requestId: string
  owner: BatchOwner
  product: string
  release: number
  receivedAt: number
  /** The rows, written as one text (`FrameCodec`); empty for none. */
  body: string
  counts: readonly DecisionCount[]
  /** The traceparent of the span that queued it, where requests are traced; who does not know it leaves it be. */
  trace?: string
}

const readableSchemas: ReadonlySet<unknown> = new Set<QueuedBatch['schema']>([5])

/** Whether this version knows the form of a batch; one that a newer version queued waits for a writer that does. */
export function isReadable ({ schema }: Pick<QueuedBatch, 'schema'>): boolean {
  return readableSchemas.has(schema)
}

/** What is known of a batch without looking at its rows. */
export type QueuedHead = Omit<QueuedBatch, 'body'>

export interface ConsentReader {
  /** The standing of each owner at this moment; throws when it cannot be read, never guesses. */
  readStandings: (owners: readonly BatchOwner[]) => Promise<Standing[]>
}

/** One owner's standing. */
export async function readStanding (consents: ConsentReader, owner: BatchOwner): Promise<Standing> {
  const [standing] = await consents.readStandings([owner])
  if (standing === undefined) throw new Unavailable('consent')
  return standing
}

export interface EventQueue {
  /** Resolves when the batch is durable. */
  add: (batch: QueuedBatch) => Promise<void>
}

/**
 * What the queue holds of the books, in events. `pending`: accepted, and not stored yet; `dead`: accepted, and given up;
 * `dropped` and `rejected`: of the same requests, which are counted nowhere else until they are stored.
 */
export interface QueuedEvents { pending: number, dead: number, dropped: number, rejected: number, requestIds: string[] }

export interface QueueBooks {
  /** Of requests received within a span (epoch ms, `to` left out), or of all. */
  pendingAndDead: (received?: { from: number, to: number }) => Promise<QueuedEvents>
}

export interface DeviceRegister {
  /** Notes that an account uses a device with a product release, at most once an hour for the same three. */
  see: (accountId: string, deviceId: string, product: string, release: number, at: number) => Promise<void>
  list: (accountId: string) => Promise<SeenDevice[]>
  /** Forgets the devices of an account that were noted until then (epoch ms), and says how many. */
  forget: (accountId: string, until: number) => Promise<number>
}

export interface SeenDevice {
  device_id: string
  products: string[]
  last_seen_at: number | null
}

/** Writes the rows of a batch as one text, and reads them. */
export interface FrameCodec {
  write: (rows: BatchRows) => string
  /** Throws when they cannot be read. */
  read: (batch: Pick<QueuedBatch, 'body' | 'receivedAt'>) => BatchRows
}

/** What became of the events of one request at one stage. Said again, it replaces what was said before. */
export interface CountedBatch {
  requestId: string
  receivedAt: number
  product: string
  release: number
  stage: 'intake' | 'write'
  counts: readonly DecisionCount[]
}

export interface FailedRow {
  requestId: string
  /** Of the frame that it came in. */
  purpose: string
  eventId: string
  name: string
  accountRef: string
  deviceRef: string
  reason: string
  /** The line that could not be inserted. */
  row: string
}

export interface EventTable {
  /** Inserts lines made by `frameLineOf`, which hold events of these ids. The same rows again are the same rows. */
  insertFrames: (lines: string, eventIds: readonly string[]) => Promise<void>
  /** The same with lines made by `rowLinesOf`, which takes several times as long. */
  insertRows: (lines: string) => Promise<void>
  insertCounts: (batches: readonly CountedBatch[]) => Promise<void>
  /** Which of these events are stored already. */
  findStored: (eventIds: readonly string[]) => Promise<Set<string>>
  /** Which of these events were erased before. */
  findErased: (eventIds: readonly string[]) => Promise<Set<string>>
  /** Keeps these events out from here on. */
  rememberErased: (eventIds: readonly string[]) => Promise<void>
  insertFailed: (rows: readonly FailedRow[]) => Promise<void>
  /** What is wrong with the data, from a closed set of names, when that is what an error says: trying again cannot help. */
  dataFaultOf: (error: unknown) => string | undefined
}

/** One call of the privacy team. `subject` is null where no token said who called. `at`: epoch ms. */
export interface Access {
  accessId: string
  at: number
  subject: string | null
  method: string
  path: string
  query: string
  /** Whom or what the body named, as JSON; left out where it named nothing. */
  about?: string
  /** Why, as the caller said. */
  purposeOfUse: string
  status: number
}

export interface SpentToken { jti: string, forgetInSeconds: number, securityVersion: number }

/** How a change was paid for: by a token, or by a fresh sign-in where that may stand for one. */
export interface Payment { token?: SpentToken, verifiedBy: VerifiedBy }

export type WriteOutcome = 'written' | 'conflict' | 'spent' | 'superseded'

export interface ConsentStore extends ConsentReader {
  /** As `readStandings`; whose cannot be read spoils no other's. */
  readEach: (owners: readonly BatchOwner[]) => Promise<Array<Standing | Unavailable>>
  read: (subject: Subject) => Promise<ConsentRecord>
  /**
   * Writes a record with the ledger entries that tell how it came about, and spends the token that pays for it, in one
   * atomic step, if the record is still `before`. `superseded`: the account's security version is no longer the token's.
   */
  write: (subject: Subject, before: ConsentRecord, after: ConsentRecord, entries: readonly LedgerEntry[], token?: SpentToken) => Promise<WriteOutcome>
}

export interface PolicyStore {
  readPolicy: (orgId: string) => Promise<OrgPolicy>
  /** Writes a policy, and the entry that puts it on record, if it is still `before` that stands. */
  replacePolicy: (before: OrgPolicy, after: PolicyEntry) => Promise<boolean>
}

/** What an organisation stated, with what is remembered of its policies before. */
export interface PolicyEntry { policyId: string, orgId: string, policy: OrgPolicy }

export interface LedgerProgress {
  /** How far the ledger is, once everything until there can be read in ClickHouse. Throws `Unavailable` when that takes too long. */
  caughtUp: () => Promise<LedgerHead>
}

export interface LedgerReader {
  /** A subject's entries, newest first, from below `beforeRevision`. Waits until the ledger holds revision `head`. */
  history: (subject: Subject, head: number, limit: number, beforeRevision: number | undefined) => Promise<LedgerEntry[]>
}
