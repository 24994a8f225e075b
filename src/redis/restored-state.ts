/** Puts back what a Redis that was lost, or that is an older copy, no longer knows. */
import type { Redis } from 'ioredis'
import type { RestoredState } from '../flows/ledger-ports.ts'
import { encodeRecord, policyKey, recordKey } from './consent-store.ts'
import { keyIn, partitionCount, partitionOf } from './keys.ts'
import { orUnavailable } from './unavailable.ts'

const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
const countKey = (partition: number): string => keyIn(partition, 'ledger-count')
const wholeKey = keyIn(0, 'whole')

export function makeRestoredState (redis: Redis, { read }: Pick<RestoredState, 'read'>): RestoredState {
  return orUnavailable<RestoredState>('consent', {
    read,

    replace: async (subject, before, after) =>
      await redis.restoreConsent(recordKey(subject), before.head, before.revision, before.erasedAt, encodeRecord(after)) === 1,

    async restorePolicy ({ orgId, at, policy }) {
      return await redis.restorePolicy(policyKey(orgId), keyIn(partitionOf(`o:${orgId}`), 'policies'), JSON.stringify(policy), at) === 1
    },

    counts: async () => await Promise.all(partitions.map(async partition => Number(await redis.get(countKey(partition)) ?? 0))),

    async raiseCounts (counts) {
      await Promise.all(partitions.map(async partition => await redis.raiseCount(countKey(partition), counts[partition] ?? 0)))
    },

    isWhole: async () => await redis.exists(wholeKey) === 1,

    async noteWhole () {
      await redis.set(wholeKey, '1')
    }
  })
}
