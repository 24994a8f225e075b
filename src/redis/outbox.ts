/** What was written in one atomic step with a state and is on its way to ClickHouse. It is taken out once it is there. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClient } from './servers.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { keyIn, partitionCount, partitionOf } from './keys.ts'

export interface Waiting<Entry> {
  partition: number
  id: string
  entry: Entry
  /** What was written beside the entry. */
  notes: Readonly<Record<string, string>>
}

export interface Outbox<Entry> {
  /** Resolves when the entry is durable. `name` chooses its partition. */
  add: (name: string, entry: Entry) => Promise<void>
  /** The oldest of each partition, at most `max` each. */
  peek: (max: number) => Promise<Array<Waiting<Entry>>>
  remove: (waiting: ReadonlyArray<Waiting<Entry>>) => Promise<void>
  /** Resolves once everything that a partition holds now has been taken out; throws `Unavailable` when that takes too long. */
  drained: (partition: number, withinMs: number) => Promise<void>
}

/** `kind` names the stream of each partition. */
export function makeOutbox<Entry> (redis: RedisClient, kind: string): Outbox<Entry> {
  return {
    async add (name, entry) {
      try {
        await redis.xadd(keyIn(partitionOf(name), kind), '*', 'entry', JSON.stringify(entry))
      } catch (cause) {
        throw new Unavailable(`the ${kind}`, { cause })
      }
    },
    async peek (max) {
      const partitions = await Promise.all(Array.from({ length: partitionCount }, async (_, partition) => await readStream<Entry>(redis, kind, partition, '-', '+', max)))
      return partitions.flat()
    },
    async remove (waiting) {
      await Promise.all(waiting.map(async ({ partition, id }) => await redis.xdel(keyIn(partition, kind), id)))
    },
    async drained (partition, withinMs) {
      const key = keyIn(partition, kind)
      const deadline = performance.now() + withinMs
      try {
        const [last] = await redis.xrevrange(key, '+', '-', 'COUNT', 1)
        while (last !== undefined && (await redis.xrange(key, '-', last[0], 'COUNT', 1)).length > 0) {
          if (performance.now() > deadline) throw new Error('still waiting')
          await sleep(30)
        }
      } catch (cause) {
        throw new Unavailable(`the ${kind}`, { cause })
      }
    }
  }
}

/** A partition's entries from one place to another, oldest first. */
export async function readStream<Entry> (redis: RedisClient, kind: string, partition: number, from: string, to: string, max: number): Promise<Array<Waiting<Entry>>> {
  const found = await redis.xrange(keyIn(partition, kind), from, to, 'COUNT', max)
  return found.map(([id, fields]) => {
    const { entry = '', ...notes } = Object.fromEntries(pairsOf(fields))
    return { partition, id, entry: JSON.parse(entry) as Entry, notes }
  })
}

function pairsOf (fields: readonly string[]): Array<[string, string]> {
  return fields.flatMap((name, index): Array<[string, string]> => index % 2 === 0 ? [[name, fields[index + 1] ?? '']] : [])
}
