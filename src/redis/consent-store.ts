/** The current state of every choice, and the outbox of the ledger that explains it. */
import type { RedisClient } from './servers.ts'
import type { ChoiceState, Choices, ConsentRecord, OrgPolicy, Standing } from '../domain/consent.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { previousStates, subjectKey, type Subject } from '../domain/ledger.ts'
import type { TombstoneStore } from '../flows/erasure-ports.ts'
import type { BatchOwner, ConsentStore, PolicyEntry, PolicyStore, WriteOutcome } from '../flows/ports.ts'
import { openingOf } from './erasure-store.ts'
import { keyIn, partitionOf } from './keys.ts'
import { parseRecord } from './stored-record.ts'
import { orUnavailable } from './unavailable.ts'
import { wholeMarkOf } from './whole-mark.ts'

/** A choice as stored: first letter of its state, since, denied until, entry, notice where one was named. */
type StoredChoice = [string, number, number, string, string?]
type StoredChoices = Record<string, StoredChoice>
/** `era`: when the subject was last erased. */
interface StoredRecord { rev: number, head: string, a: StoredChoices, d: Record<string, StoredChoices>, era?: number }

/**
 * What lies under these keys of these partitions, each read once, from a Redis that is whole: in one that was emptied
 * silence may be a denial that was lost. The mark is read in the same step, so nothing is read from an emptied Redis.
 * What is returned gives the text of a place, or throws why it could not be read.
 */
async function readWhole (redis: RedisClient, places: Iterable<Place>): Promise<(place: Place) => string | null> {
  const found = new Map<string, string | null>()
  const failed = new Map<string, unknown>()
  // A command may ask for keys of one partition only where each lies on a node of its own.
  const steps = redis.isCluster ? Map.groupBy(places, ({ partition }) => partition) : new Map([[0, [...places]]])
  await Promise.all([...steps].map(async ([partition, asked]) => {
    const keys = [...new Set(asked.map(({ key }) => key))]
    try {
      const [mark, ...values] = await redis.mget(wholeMarkOf(redis, partition), ...keys)
      if (mark == null) throw new Error('this Redis is not whole')
      for (const [index, key] of keys.entries()) found.set(key, values[index] ?? null)
    } catch (error) {
      for (const key of keys) failed.set(key, error)
    }
  }))
  return ({ key }) => {
    const text = found.get(key)
    if (text === undefined) throw failed.get(key)
    return text
  }
}

interface Place { partition: number, key: string }

function placeOfRecord (subject: Subject): Place {
  const name = subjectKey(subject)
  const partition = partitionOf(name)
  return { partition, key: keyIn(partition, 'consent', name) }
}

function placeOfPolicy (orgId: string): Place {
  const partition = partitionOf(`o:${orgId}`)
  return { partition, key: keyIn(partition, 'policy', orgId) }
}

/** One that cannot be read is no empty one: unknown never means yes. */
function readRecord (text: string | null): ConsentRecord {
  const record = parseRecord(text)
  if (record === undefined) throw new Error('a record cannot be read')
  return record
}

function readPolicyText (text: string | null): OrgPolicy {
  return JSON.parse(text ?? '{}') as OrgPolicy
}

/** Where all lies that an owner's standing takes. */
interface OwnerPlaces { account: Place | undefined, device: Place | undefined, policy: Place | undefined }

function placesOf ({ accountId, deviceId, orgId }: BatchOwner): OwnerPlaces {
  return {
    account: accountId === undefined ? undefined : placeOfRecord({ kind: 'account', id: accountId }),
    device: deviceId === undefined ? undefined : placeOfRecord({ kind: 'device', id: deviceId }),
    policy: orgId === undefined ? undefined : placeOfPolicy(orgId)
  }
}

/** Every choice that is read comes from a Redis that is whole, or is not read. */
export function makeConsentStore (redis: RedisClient, regionalDefault: (region: string | undefined) => 'granted' | 'denied'): ConsentStore & PolicyStore & TombstoneStore {
  const mark: Place = { partition: 0, key: wholeMarkOf(redis, 0) }
  const readEach = async (owners: readonly BatchOwner[]): Promise<Array<Standing | Unavailable>> => {
    const asked = owners.map(owner => ({ owner, ...placesOf(owner) }))
    // Whoever is nobody is answered by a Redis that is whole, too.
    const textAt = await readWhole(redis, asked.flatMap(({ account, device, policy }) => [account ?? device ?? mark, device, policy].filter(place => place !== undefined)))
    const records = new Map<string, ConsentRecord>()
    const recordAt = (place: Place): ConsentRecord => {
      const record = records.get(place.key) ?? readRecord(textAt(place))
      records.set(place.key, record)
      return record
    }
    return asked.map(({ owner: { deviceId, region }, account, device, policy }): Standing | Unavailable => {
      try {
        if (account === undefined && device === undefined) textAt(mark)
        return {
          account: account && recordAt(account),
          deviceId,
          deviceAlone: device && recordAt(device),
          orgPolicy: policy === undefined ? {} : readPolicyText(textAt(policy)),
          regionalDefault: regionalDefault(region)
        }
      } catch (cause) {
        return new Unavailable('consent', { cause })
      }
    })
  }
  return orUnavailable<ConsentStore & PolicyStore & TombstoneStore>('consent', {
    async read (subject) {
      const place = placeOfRecord(subject)
      return readRecord((await readWhole(redis, [place]))(place))
    },

    readEach,

    async readStandings (owners) {
      return (await readEach(owners)).map(standing => {
        if (standing instanceof Unavailable) throw standing
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
        before.head, before.erasedAt, encodeRecord(after), token?.jti ?? '', token?.forgetInSeconds ?? 0, token?.securityVersion ?? 0,
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
        token?.jti ?? '', token?.forgetInSeconds ?? 0, token?.securityVersion ?? 0
      )
      return outcome as WriteOutcome
    },

    async readPolicy (orgId) {
      const place = placeOfPolicy(orgId)
      return readPolicyText((await readWhole(redis, [place]))(place))
    },

    async replacePolicy (before, { orgId, policyId, policy }) {
      const outbox = keyIn(partitionOf(`o:${orgId}`), 'policies')
      const entry: PolicyEntry = { policyId, orgId, policy }
      return await redis.replacePolicy(policyKey(orgId), outbox, encodePolicy(before), encodePolicy(policy), JSON.stringify(entry)) === 1
    }
  })
}

export function recordKey (subject: Subject): string {
  return placeOfRecord(subject).key
}

export function policyKey (orgId: string): string {
  return placeOfPolicy(orgId).key
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
