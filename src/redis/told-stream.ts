/** The stream of the security log with a second reader: the letters about its entries are queued before these leave it. */
import type { RedisClient } from './servers.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import { keyIn, partitionCount } from './keys.ts'
import { readStream, type Waiting } from './outbox.ts'

export interface ToldStream {
  /** The oldest of each partition whose letter has not been queued, at most `max` each. */
  untold: (max: number) => Promise<Array<Waiting<SecurityEvent>>>
  /** Says that the letters about these, and about all before them in their partitions, have been queued. */
  markTold: (told: ReadonlyArray<Waiting<SecurityEvent>>) => Promise<void>
  /** The oldest of each partition whose letter has been queued, at most `max` each. */
  told: (max: number) => Promise<Array<Waiting<SecurityEvent>>>
}

const kind = 'security-log'

export function makeToldStream (redis: RedisClient): ToldStream {
  const cursorKey = (partition: number): string => keyIn(partition, `${kind}-told`)
  const readAll = async (read: (partition: number, cursor: string | null) => Promise<Array<Waiting<SecurityEvent>>>): Promise<Array<Waiting<SecurityEvent>>> =>
    (await Promise.all(Array.from({ length: partitionCount }, async (_, partition) => await read(partition, await redis.get(cursorKey(partition)))))).flat()

  return {
    untold: async max => await readAll(async (partition, cursor) => await readStream(redis, kind, partition, cursor === null ? '-' : `(${cursor}`, '+', max)),
    told: async max => await readAll(async (partition, cursor) => cursor === null ? [] : await readStream(redis, kind, partition, '-', cursor, max)),
    async markTold (told) {
      const last = new Map(told.map(({ partition, id }) => [partition, id]))
      await Promise.all([...last].map(async ([partition, id]) => await redis.advanceCursor(cursorKey(partition), id)))
    }
  }
}
