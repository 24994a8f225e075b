/**
 * What a job of the queue of events holds: batches, each as a list, without the names of its fields; and their rows, in
 * zstd, all together: batches are alike, and to compress each by itself takes four times as long.
 */
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import type { DecisionCount } from '../domain/event.ts'
import type { QueuedBatch, QueuedHead } from '../flows/ports.ts'

type StoredCount = [event: string, version: number, purpose: string, outcome: DecisionCount['outcome'], reason: string, count: number]

/** What does not depend on the form of the rows comes first, in places that stay whatever `schema` is. */
type StoredHead<Schema> = [
  schema: Schema, requestId: string, accountId: string | null, deviceId: string | null, orgId: string | null, region: string | null,
  receivedAt: number, counts: readonly StoredCount[], product: string, release: number
]

/** `characters`: how many of the text of all bodies are its own; they lie in the order of the batches. */
type StoredBatch = [...StoredHead<QueuedBatch['schema']>, characters: number, trace?: string]

/** Schema 4 had its own body, packed by itself, and how much that is unpacked; schema 3 did not say how much. */
type OldBatch = [...StoredHead<3 | 4>, body: string, ...last: [bytes: number, trace?: string] | [trace?: string]]

/** Writers that know one batch of each job only look at `schema` and `counts`, and park it. They find no owner in it, so they erase nothing until they are replaced. */
interface SharedJob { schema: 3, counts: readonly [], batches: ReadonlyArray<StoredBatch | OldBatch>, bodies?: string }

/** What a job held when each had one batch; at first each count with the names of its fields. */
type OldJob = Omit<QueuedBatch, 'counts' | 'schema'> & { schema: 3 | 4, counts: ReadonlyArray<StoredCount | DecisionCount> }

export type JobData = SharedJob | OldJob

const compressOnce: (text: string) => Promise<Buffer> = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** `compress`: zstd; who makes many jobs brings one that stays. */
export async function toJobData (batches: readonly QueuedBatch[], compress = compressOnce): Promise<JobData> {
  const text = batches.map(({ body }) => body).join('')
  const bodies = text === '' ? '' : (await compress(text)).toString('base64')
  return { schema: 3, counts: [], batches: batches.map(toStored), bodies }
}

/** A batch whose rows cannot be read has a body that nobody can read. */
export async function fromJobData (data: JobData): Promise<QueuedBatch[]> {
  if (!('batches' in data)) return [{ ...headOfOld(data), body: await bodyOfOld(data.body) }]
  const text = data.bodies === undefined || data.bodies === '' ? '' : await decompress(Buffer.from(data.bodies, 'base64')).then(String, () => undefined)
  const lengths = data.batches.map(stored => isOld(stored) ? 0 : stored[bodyPlace])
  const isRight = lengths.every(Number.isSafeInteger) && lengths.reduce((sum, characters) => sum + characters, 0) === text?.length
  const batches: QueuedBatch[] = []
  let from = 0
  for (const stored of data.batches) {
    const characters = isOld(stored) ? 0 : stored[bodyPlace]
    const own = isRight ? text.slice(from, from + characters) : unreadable
    const body = isOld(stored) ? await bodyOfOld(stored[bodyPlace]) : characters === 0 ? '' : own
    batches.push({ ...headOf(stored), body })
    from += characters
  }
  return batches
}

/** The same without the rows, which takes a fraction of the time. */
export function headsOf (data: JobData): QueuedHead[] {
  return 'batches' in data ? data.batches.map(headOf) : [headOfOld(data)]
}

/** Whether a batch that was read can be written anew, and nothing of it is lost. */
export function isWhole ({ schema, body }: { schema: number, body: string }): boolean {
  return schema === currentSchema && body !== unreadable
}

const currentSchema: QueuedBatch['schema'] = 5
const unreadable = 'cannot be read'
const bodyPlace = 10

function isOld (stored: StoredBatch | OldBatch): stored is OldBatch {
  return stored[0] === 3 || stored[0] === 4
}

/** Of a newer version it is a number that this one does not know, whatever the types say. */
function schemaOf (schema: number): QueuedBatch['schema'] {
  return (schema === 3 || schema === 4 ? currentSchema : schema) as QueuedBatch['schema']
}

function toStored ({ schema, requestId, owner: { accountId, deviceId, orgId, region }, receivedAt, counts, product, release, body, trace }: QueuedBatch): StoredBatch {
  const stored: StoredBatch = [
    schema, requestId, accountId ?? null, deviceId ?? null, orgId ?? null, region ?? null, receivedAt,
    counts.map(({ event, version, purpose, outcome, reason, count }): StoredCount => [event, version, purpose, outcome, reason, count]), product, release, body.length
  ]
  if (trace !== undefined) stored.push(trace)
  return stored
}

function headOf (stored: StoredBatch | OldBatch): QueuedHead {
  const [schema, requestId, accountId, deviceId, orgId, region, receivedAt, counts, product, release, , ...last] = stored
  const trace = (last as unknown[]).find(item => typeof item === 'string')
  return {
    schema: schemaOf(schema),
    requestId,
    owner: { accountId: accountId ?? undefined, deviceId: deviceId ?? undefined, orgId: orgId ?? undefined, region: region ?? undefined },
    product,
    release,
    receivedAt,
    counts: counts.map(toCount),
    ...trace === undefined ? {} : { trace }
  }
}

function headOfOld ({ schema, requestId, owner, product, release, receivedAt, counts, trace }: OldJob): QueuedHead {
  return { schema: schemaOf(schema), requestId, owner, product, release, receivedAt, counts: counts.map(toCount), ...trace === undefined ? {} : { trace } }
}

/** How a body was packed by itself: how many ids there are, in three bytes, the ids, and the other lines, in zstd unless they were few. */
async function bodyOfOld (body: string): Promise<string> {
  if (body === '') return ''
  const bytes = Buffer.from(body, 'base64')
  const idsFrom = 3
  if (bytes.length <= idsFrom) return unreadable
  const textFrom = idsFrom + bytes.readUIntBE(0, idsFrom) * 16
  const text = bytes.subarray(textFrom)
  const zstdMagic = 0x28 // What is not packed begins with a bracket.
  const lines = text[0] === zstdMagic ? await decompress(text).then(String, () => undefined) : text.toString()
  return lines === undefined ? unreadable : `${bytes.toString('base64', idsFrom, textFrom)}\n${lines}`
}

function toCount (stored: StoredCount | DecisionCount): DecisionCount {
  if ('count' in stored) return stored
  const [event, version, purpose, outcome, reason, count] = stored
  return { event, version, purpose, outcome, reason, count }
}
