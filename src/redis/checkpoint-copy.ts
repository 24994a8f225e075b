/** The latest checkpoint of the ledger, away from the table that holds them all. */
import type { Redis } from 'ioredis'
import type { Checkpoint } from '../domain/checkpoint.ts'
import type { CheckpointCopy } from '../flows/ledger-ports.ts'
import { keyIn } from './keys.ts'
import { orUnavailable } from './unavailable.ts'

const key = keyIn(0, 'ledger-checkpoint')

export function makeCheckpointCopy (redis: Redis): CheckpointCopy {
  return orUnavailable<CheckpointCopy>('checkpoint', {
    async read () {
      const text = await redis.get(key)
      return text === null ? undefined : JSON.parse(text) as Checkpoint
    },
    async write (checkpoint) {
      await redis.set(key, JSON.stringify(checkpoint))
    }
  })
}
