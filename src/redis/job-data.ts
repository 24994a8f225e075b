/** What a job of the queue of events holds: batches, each as a list, without the names of its fields. */
import type { DecisionCount } from '../domain/event.ts'
import type { QueuedBatch } from '../flows/ports.ts'

type StoredCount = [event: string, version: number, purpose: string, outcome: DecisionCount['outcome'], reason: string, count: number]

/** What does not depend on the form of the rows comes first, in places that stay whatever `schema` is. */
type StoredBatch = [
  schema: QueuedBatch['schema'] | 3, requestId: string, accountId: string | null, deviceId: string | null, orgId: string | null, region: string | null,
  receivedAt: number, counts: readonly StoredCount[], product: string, release: number, body: string, ...last: Last
]

/** Schema 3 had no `bytes`, and is schema 4 otherwise. */
type Last = [bytes: number, trace?: string] | [trace?: string]

/** Writers that know one batch of each job only look at `schema` and `counts`, and park it. They find no owner in it, so they erase nothing until they are replaced. */
interface SharedJob { schema: 3, counts: readonly [], batches: readonly StoredBatch[] }

/** What a job held when each had one batch; at first each count with the names of its fields. */
type OldJob = Omit<QueuedBatch, 'counts'> & { counts: ReadonlyArray<StoredCount | DecisionCount> }

export type JobData = SharedJob | OldJob

export function toJobData (batches: readonly QueuedBatch[]): JobData {
  return { schema: 3, counts: [], batches: batches.map(toStored) }
}

export function fromJobData (data: JobData): QueuedBatch[] {
  if ('batches' in data) return data.batches.map(fromStored)
  const { counts, ...batch } = data
  return [{ ...batch, counts: counts.map(toCount) }]
}

function toStored ({ schema, requestId, owner: { accountId, deviceId, orgId, region }, receivedAt, counts, product, release, body, bytes, trace }: QueuedBatch): StoredBatch {
  const stored: StoredBatch = [
    schema, requestId, accountId ?? null, deviceId ?? null, orgId ?? null, region ?? null, receivedAt,
    counts.map(({ event, version, purpose, outcome, reason, count }): StoredCount => [event, version, purpose, outcome, reason, count]), product, release, body, bytes
  ]
  if (trace !== undefined) stored.push(trace)
  return stored
}

function fromStored ([schema, requestId, accountId, deviceId, orgId, region, receivedAt, counts, product, release, body, ...last]: StoredBatch): QueuedBatch {
  const [first, second] = last
  const { bytes, trace } = typeof first === 'number' ? { bytes: first, trace: second } : { bytes: body.length, trace: first }
  return {
    schema: schema === 3 ? 4 : schema,
    requestId,
    owner: { accountId: accountId ?? undefined, deviceId: deviceId ?? undefined, orgId: orgId ?? undefined, region: region ?? undefined },
    product,
    release,
    receivedAt,
    body,
    bytes,
    counts: counts.map(toCount),
    ...trace === undefined ? {} : { trace }
  }
}

function toCount (stored: StoredCount | DecisionCount): DecisionCount {
  if ('count' in stored) return stored
  const [event, version, purpose, outcome, reason, count] = stored
  return { event, version, purpose, outcome, reason, count }
}
