/** Erasures that are open, and how far each is. */
import type { RedisClient } from './servers.ts'
import type { Erasure, ErasureCertificate } from '../domain/erasure.ts'
import { subjectKey, subjectOf, type Subject } from '../domain/ledger.ts'
import type { ErasureProgress, ErasureStore, FoundBatch } from '../flows/erasure-ports.ts'
import { keyIn, partitionCount, partitionOf } from './keys.ts'
import { makeOutbox } from './outbox.ts'
import { orUnavailable } from './unavailable.ts'

/** An erasure that is done is kept here this long; its certificate lies in ClickHouse for good. */
const keptMs = 90 * 86_400_000
/** More than this of one partition wait for those before them. */
const dueMax = 1000
/** Second looks lie apart: they wait for long, and would hold up what is new. */
const kinds = { new: 'erasures', again: 'erasures-again' } as const

/** `notBefore`: epoch ms. */
interface OpenEntry { id: string, notBefore: number }

/** An id for an erasure of a subject: it starts with the subject's partition, so that the id alone finds it. */
export function erasureIdFor (subject: Subject, uuid: string): string {
  return `${partitionOf(subjectKey(subject)).toString(16)}-${uuid}`
}

/** What opens an erasure, beside its tombstone, as keys and arguments of the script. */
export function openingOf (erasure: Erasure): { keys: [string, string], args: [string, string] } {
  const partition = partitionOf(subjectKey(subjectOf({ account_id: erasure.accountId, device_id: erasure.deviceId })))
  const entry: OpenEntry = { id: erasure.id, notBefore: 0 }
  return { keys: [keyIn(partition, 'erasure', erasure.id), keyIn(partition, kinds.new)], args: [JSON.stringify(erasure), JSON.stringify(entry)] }
}

export function makeErasureStore (redis: RedisClient): ErasureStore {
  const outboxes = { new: makeOutbox<OpenEntry>(redis, kinds.new), again: makeOutbox<OpenEntry>(redis, kinds.again) }
  const keyOf = (id: string, kind = 'erasure'): string => keyIn(Number.parseInt(id, 16), kind, id)

  const find = async (id: string): Promise<ErasureProgress | undefined> => {
    if (!/^[0-9a-f]-/.test(id) || Number.parseInt(id, 16) >= partitionCount) return undefined
    const stored = await redis.hgetall(keyOf(id))
    const read = <Name extends keyof ErasureProgress>(name: Name): ErasureProgress[Name] | undefined => {
      const text = stored[name]
      return text === undefined ? undefined : JSON.parse(text) as ErasureProgress[Name]
    }
    const erasure = read('erasure')
    return erasure && {
      erasure,
      before: read('before'),
      hidden: read('hidden') ?? false,
      late: read('late'),
      batches: read('batches') ?? { found: 0, remaining: 0 },
      certificate: read('certificate'),
      again: read('again')
    }
  }

  return orUnavailable<ErasureStore>('the erasures', {
    async open (erasure) {
      const { keys, args } = openingOf(erasure)
      // The keys of the record and the token are not touched; they only have to lie on the same node.
      await redis.openErasure(...keys, keys[0], keys[0], keys[0], ...args, '', '', 0, '', 0, 0)
    },

    find,

    async due (which, now) {
      const outbox = outboxes[which]
      const waiting = (await outbox.peek(dueMax)).filter(({ entry }) => entry.notBefore <= now)
      const due = await Promise.all(waiting.map(async ({ partition, id: placeId, entry: { id } }) => {
        const place = { partition, id: placeId }
        const progress = await find(id)
        if (progress !== undefined) return { ...progress, isAgain: which === 'again', place }
        await outbox.remove([{ ...place, entry: { id, notBefore: 0 }, notes: {} }])
        return undefined
      }))
      return due.filter(open => open !== undefined)
    },

    async note (id, step, value) {
      await redis.hsetnx(keyOf(id), step, JSON.stringify(value))
    },

    async batches (id) {
      const stored = await redis.hgetall(keyOf(id, 'erasure-batches'))
      return Object.entries(stored).map(([requestId, text]) => ({ requestId, ...JSON.parse(text) as Omit<FoundBatch, 'requestId'> }))
    },

    async addBatches (id, batches) {
      // By its request, since a batch may move from one job to another.
      const fields = batches.flatMap(({ requestId, ...batch }) => [requestId, JSON.stringify(batch)])
      await redis.multi().hset(keyOf(id, 'erasure-batches'), ...fields).pexpire(keyOf(id, 'erasure-batches'), keptMs).exec()
    },

    async noteRemaining (id, batches) {
      await redis.hset(keyOf(id), 'batches', JSON.stringify(batches))
    },

    async certify (id, certificate) {
      await redis.hsetnx(keyOf(id), 'certificate', JSON.stringify(certificate))
      return JSON.parse(await redis.hget(keyOf(id), 'certificate') ?? 'null') as ErasureCertificate
    },

    async close ({ erasure: { id, accountId, deviceId }, isAgain, place }, againAt) {
      // Added before it is taken out: a kill in between makes two second looks of one.
      if (againAt !== undefined) {
        await outboxes.again.add(subjectKey(subjectOf({ account_id: accountId, device_id: deviceId })), { id, notBefore: againAt })
      }
      await redis.pexpire(keyOf(id), keptMs)
      await outboxes[isAgain ? 'again' : 'new'].remove([{ ...place, entry: { id, notBefore: 0 }, notes: {} }])
    }
  })
}
