/** The latest checkpoint of the ledger, away from the table that holds them all. */
import type { RedisClient } from './servers.ts'
import type { Checkpoint } from '../domain/checkpoint.ts'
import type { CheckpointCopy } from '../flows/ledger-ports.ts'
import { keyIn } from './keys.ts'
import { orUnavailable } from './unavailable.ts'

const key = keyIn(0, 'ledger-checkpoint')

export function makeCheckpointCopy (redis: RedisClient): CheckpointCopy {
  return orUnavailable<CheckpointCopy>('checkpoint', {
    async read () {
      const text = await redis.get(key)
      return text === null ? undefined : checkpointOf(text) ?? 'unreadable'
    },
    async write (checkpoint) {
      await redis.set(key, JSON.stringify(checkpoint))
    }
  })
}

function checkpointOf (text: string): Checkpoint | undefined {
  const { checkpoint_id, at, sequences, digests, signature } = parse(text)
  if (typeof checkpoint_id !== 'string' || typeof at !== 'number' || typeof signature !== 'string') return undefined
  if (!Array.isArray(sequences) || !sequences.every(sequence => typeof sequence === 'number')) return undefined
  if (!Array.isArray(digests) || !digests.every(digest => typeof digest === 'string')) return undefined
  return { checkpoint_id, at, sequences, digests, signature }
}

function parse (text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return {}
  }
}
