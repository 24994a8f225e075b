/** The current state of every choice, and the outbox of the ledger that explains it. */
import type { RedisClient } from './servers.ts'
import type { ChoiceState, Choices, ConsentRecord, OrgPolicy, Standing } from '../domain/consent.ts'
import { previousStates, subjectKey, type Subject } from '../domain/ledger.ts'
import type { TombstoneStore } from '../flows/erasure-ports.ts'
import type { BatchOwner, ConsentStore, PolicyEntry, PolicyStore, WriteOutcome } from '../flows/ports.ts'
import { openingOf } from './erasure-store.ts'
import { keyIn, partitionOf } from './keys.ts'
import { parseRecord } from './stored-record.ts'
import { orUnavailable } from './unavailable.ts'
import { isWhole } from './whole-mark.ts'

/** A choice as stored: first letter of its state, since, denied until, entry, notice where one was named. */
type StoredChoice = [string, number, number, string, string?]
type StoredChoices = Record<string, StoredChoice>
/** `era`: when the subject was last erased. */
interface StoredRecord { rev: number, head: string, a: StoredChoices, d: Record<string, StoredChoices>, era?: number }

/** The record of a subject. One that cannot be read is no empty one: unknown never means yes. */
async function readRecord (redis: RedisClient, subject: Subject): Promise<ConsentRecord> {
  const record = parseRecord(await redis.get(recordKey(subject)))
  if (record === undefined) throw new Error('a record cannot be read')
  return record
}

/**
 * What `read` finds, if it was read from a Redis that is whole: in one that was emptied silence may be a denial that was
 * lost. The mark is asked for last, so that what was read before it was not read from an emptied Redis.
 */
async function fromWhole<Found> (redis: RedisClient, partitions: Iterable<number>, read: () => Promise<Found>): Promise<Found> {
  const [found, whole] = await Promise.all([read(), isWhole(redis, partitions)])
  if (!whole) throw new Error('this Redis is not whole')
  return found
}

/** Where what is known of an owner lies. */
function partitionsOf ({ accountId, deviceId, orgId }: BatchOwner): number[] {
  return [
    ...accountId === undefined ? [] : [subjectKey({ kind: 'account', id: accountId })],
    ...deviceId === undefined ? [] : [subjectKey({ kind: 'device', id: deviceId })],
    ...orgId === undefined ? [] : [`o:${orgId}`]
  ].map(partitionOf)
}

/** Every choice that is read comes from a Redis that is whole, or is not read. */
export function makeConsentStore (redis: RedisClient, regionalDefault: (region: string | undefined) => 'granted' | 'denied'): ConsentStore & PolicyStore & TombstoneStore {
  const readPolicy = async (orgId: string): Promise<OrgPolicy> => JSON.parse(await redis.get(policyKey(orgId)) ?? '{}') as OrgPolicy

  const readStanding = async (owner: BatchOwner): Promise<Standing> => {
    const { accountId, deviceId, orgId } = owner
    // Sent together: the three replies arrive in one round trip.
    const [account, deviceAlone, orgPolicy] = await Promise.all([
      accountId === undefined ? undefined : readRecord(redis, { kind: 'account', id: accountId }),
      deviceId === undefined ? undefined : readRecord(redis, { kind: 'device', id: deviceId }),
      orgId === undefined ? {} : readPolicy(orgId)
    ])
    return { account, deviceId, deviceAlone, orgPolicy, regionalDefault: regionalDefault(owner.region) }
  }

  return orUnavailable<ConsentStore & PolicyStore & TombstoneStore>('consent', {
    read: async subject => await fromWhole(redis, [partitionOf(subjectKey(subject))], async () => await readRecord(redis, subject)),

    async readStandings (owners) {
      const distinct = new Map(owners.map(owner => [JSON.stringify(owner), owner]))
      const standings = new Map(await fromWhole(redis, owners.flatMap(partitionsOf), async () => await Promise.all(
        [...distinct].map(async ([key, owner]) => [key, await readStanding(owner)] as const)
      )))
      return owners.map(owner => {
        const standing = standings.get(JSON.stringify(owner))
        if (standing === undefined) throw new Error('a standing is missing')
        return standing
      })
    },

    async write (subject, before, after, entries, token) {
      const partition = partitionOf(subjectKey(subject))
      const previous = previousStates(before, entries)
      const outcome = await redis.writeConsent(
        recordKey(subject),
        keyIn(partition, 'ledger'),
        keyIn(partition, 'spent', token?.jti ?? ''),
        keyIn(partition, 'security', subject.id),
        keyIn(partition, 'ledger-count'),
        before.head, before.erasedAt, encodeRecord(after), token?.jti ?? '', token?.expiresInSeconds ?? 0, token?.securityVersion ?? 0,
        ...entries.flatMap((entry, index) => [JSON.stringify(entry), previous[index] ?? 'absent'])
      )
      return outcome as 'written' | 'conflict' | 'spent' | 'superseded'
    },

    async erase (subject, before, erasure, token) {
      const partition = partitionOf(subjectKey(subject))
      const { keys, args } = openingOf(erasure)
      const outcome = await redis.openErasure(
        ...keys, recordKey(subject), keyIn(partition, 'spent', token?.jti ?? ''), keyIn(partition, 'security', subject.id),
        ...args, encodeRecord({ ...before, erasedAt: erasure.until }), before.head, before.erasedAt,
        token?.jti ?? '', token?.expiresInSeconds ?? 0, token?.securityVersion ?? 0
      )
      return outcome as WriteOutcome
    },

    readPolicy,

    async replacePolicy (before, { orgId, policyId, policy }) {
      const outbox = keyIn(partitionOf(`o:${orgId}`), 'policies')
      const entry: PolicyEntry = { policyId, orgId, policy }
      return await redis.replacePolicy(policyKey(orgId), outbox, encodePolicy(before), encodePolicy(policy), JSON.stringify(entry)) === 1
    }
  })
}

export function recordKey (subject: Subject): string {
  const name = subjectKey(subject)
  return keyIn(partitionOf(name), 'consent', name)
}

export function policyKey (orgId: string): string {
  return keyIn(partitionOf(`o:${orgId}`), 'policy', orgId)
}

/** A policy of nothing is none. */
export function encodePolicy (policy: OrgPolicy): string {
  return Object.keys(policy).length === 0 ? '' : JSON.stringify(policy)
}

const letters: Record<ChoiceState, string> = { granted: 'g', denied: 'd', cleared: 'c' }

export function encodeRecord (record: ConsentRecord): string {
  const stored: StoredRecord = {
    rev: record.revision,
    head: record.head,
    a: encodeChoices(record.account),
    d: Object.fromEntries(Object.entries(record.devices).map(([id, choices]) => [id, encodeChoices(choices)])),
    ...(record.erasedAt === 0 ? {} : { era: record.erasedAt })
  }
  return JSON.stringify(stored)
}

function encodeChoices (choices: Choices): StoredChoices {
  return Object.fromEntries(Object.entries(choices).map(([purpose, { state, since, deniedUntil, entry, notice }]) =>
    [purpose, notice === undefined ? [letters[state], since, deniedUntil, entry] : [letters[state], since, deniedUntil, entry, notice]]))
}
