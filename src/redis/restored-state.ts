/** Puts back what a Redis that was lost, or that is an older copy, no longer knows. */
import type { RedisClient } from './servers.ts'
import { subjectKey, subjectOf, type LedgerEntry } from '../domain/ledger.ts'
import type { RecordReader, RestoredState } from '../flows/ledger-ports.ts'
import { encodePolicy, encodeRecord, policyKey, recordKey } from './consent-store.ts'
import { keyIn, partitionCount, partitionOf } from './keys.ts'
import { readStream } from './outbox.ts'
import { parseRecord } from './stored-record.ts'
import { orUnavailable } from './unavailable.ts'
import { isWhole, noteWhole } from './whole-mark.ts'

const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
const countKey = (partition: number): string => keyIn(partition, 'ledger-count')
const entriesPerRead = 1000

/** Reads records as they lie there, whether or not the state is whole. */
export function makeRecordReader (redis: RedisClient): RecordReader {
  return orUnavailable<RecordReader>('consent', {
    async read (subject) {
      const text = await redis.get(recordKey(subject))
      return { record: parseRecord(text), stored: text ?? '' }
    }
  })
}

export function makeRestoredState (redis: RedisClient): RestoredState {
  return orUnavailable<RestoredState>('consent', {
    ...makeRecordReader(redis),

    replace: async (subject, { stored }, after) => await redis.restoreConsent(recordKey(subject), stored, encodeRecord(after)) === 1,

    async waiting (subject) {
      const key = subjectKey(subject)
      const partition = partitionOf(key)
      const entries: LedgerEntry[] = []
      for (let from: string | undefined = '-'; from !== undefined;) {
        const read: Awaited<ReturnType<typeof readStream<LedgerEntry>>> = await readStream<LedgerEntry>(redis, 'ledger', partition, from, '+', entriesPerRead)
        entries.push(...read.map(({ entry }) => entry).filter(entry => subjectKey(subjectOf(entry)) === key))
        from = read.length < entriesPerRead ? undefined : `(${read.at(-1)?.id ?? ''}`
      }
      return entries
    },

    async restorePolicy ({ orgId, at, policy }) {
      return await redis.restorePolicy(policyKey(orgId), keyIn(partitionOf(`o:${orgId}`), 'policies'), encodePolicy(policy), at) === 1
    },

    async counts () {
      const counts = await Promise.all(partitions.map(async partition => Number(await redis.get(countKey(partition)) ?? 0)))
      return counts.map(count => Number.isSafeInteger(count) && count > 0 ? count : 0)
    },

    async raiseCounts (counts) {
      await Promise.all(partitions.map(async partition => await redis.raiseCount(countKey(partition), counts[partition] ?? 0)))
    },

    isWhole: async () => await isWhole(redis),

    noteWhole: async () => { await noteWhole(redis) }
  })
}
