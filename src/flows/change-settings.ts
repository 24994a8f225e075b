/** A person sees and changes what they agree to. State and ledger entry are written in one atomic step. */
import type { Catalog } from '../domain/catalog.ts'
import type { Person } from '../domain/caller.ts'
import { lapsedSince } from '../domain/notice.ts'
import { own } from '../domain/own.ts'
import type { Choice, Choices, ConsentRecord } from '../domain/consent.ts'
import { applyChanges, type Change, type ChangeContext, type LedgerEntry, type Subject } from '../domain/ledger.ts'
import type { ConsentStore, DeviceRegister, LedgerReader, Payment, PolicyStore, SeenDevice } from './ports.ts'
import { untilWritten } from './until-written.ts'

export interface ChangeSettingsDeps {
  catalog: Catalog
  consents: ConsentStore & Pick<PolicyStore, 'readPolicy'>
  devices: DeviceRegister
  ledger: LedgerReader
  sealLedger: (text: string) => string
  regionalDefault: (region: string | undefined) => 'granted' | 'denied'
  now: () => number
  newId: () => string
}

export interface SettingsPatch {
  account?: Record<string, 'granted' | 'denied'> | undefined
  devices?: Record<string, Record<string, 'granted' | 'denied' | 'cleared'>> | undefined
  notice_version?: string | undefined
}

export interface ShownChoice { state: 'absent' | 'granted' | 'denied', since: number | null }

export interface PrivacySettings {
  revision: number
  account: Record<string, ShownChoice>
  devices: Array<SeenDevice & { choices: Record<string, ShownChoice> }>
  default: 'granted' | 'denied'
  /** The purposes that the person's organisation has switched off. */
  switchedOff: string[]
}

export type PurposeRefusal = 'unknown-purpose' | 'purpose-not-changeable'
export type PatchRefusal = PurposeRefusal | 'unknown-device'
export type ChangeOutcome =
  { changed: true, settings: PrivacySettings, entries: string[] } |
  { changed: false, reason: 'revision-mismatch' | 'verification-spent' | 'verification-superseded' }

export interface ChangeSettings {
  read: (person: Person) => Promise<PrivacySettings>
  /** Why a patch cannot be carried out whatever its verification, or undefined. */
  findRefusal: (person: Person, patch: SettingsPatch) => Promise<PatchRefusal | undefined>
  /** A patch that changes nothing writes nothing and leaves its token unspent. */
  patch: (person: Person, patch: SettingsPatch, expectedRevision: number, payment: Payment) => Promise<ChangeOutcome>
  /** Denies every optional purpose at the account. Needs no verification: to withdraw is never harder than to grant. */
  stop: (person: Person) => Promise<{ settings: PrivacySettings, entries: string[] }>
  findDeviceRefusal: (purposes: readonly string[]) => PurposeRefusal | undefined
  /** Choices made on a device while nobody is signed in. */
  changeDevice: (deviceId: string, choices: Record<string, 'granted' | 'denied'>) => Promise<{ revision: number, choices: Record<string, ShownChoice>, entries: string[] }>
  history: (person: Person, limit: number, beforeRevision: number | undefined) => Promise<LedgerEntry[]>
}

export function makeChangeSettings (deps: ChangeSettingsDeps): ChangeSettings {
  const apply = (subject: Subject, before: ConsentRecord, changes: readonly Change[], context: ChangeContext): ReturnType<typeof applyChanges> =>
    applyChanges(subject, before, changes, context, {
      now: deps.now(),
      newId: deps.newId,
      seal: deps.sealLedger,
      lapsed: (purpose, choice) => lapsedSince(deps.catalog.notices, purpose, choice, deps.now()) !== undefined
    })

  /** Applies changes to whatever the record is by then: for changes that any other change may not hold up. */
  const insist = async (subject: Subject, changes: readonly Change[], context: ChangeContext): Promise<{ record: ConsentRecord, entries: LedgerEntry[] }> =>
    await untilWritten('consent', async () => {
      const before = await deps.consents.read(subject)
      const after = apply(subject, before, changes, context)
      if (after.entries.length === 0) return after
      return await deps.consents.write(subject, before, after.record, after.entries) === 'written' ? after : undefined
    })

  const show = async (person: Person, record: ConsentRecord): Promise<PrivacySettings> => {
    const seen = new Map((await deps.devices.list(person.accountId)).map(device => [device.device_id, device]))
    const deviceIds = new Set([...seen.keys(), ...Object.keys(record.devices)])
    const policy = person.orgId === undefined ? {} : await deps.consents.readPolicy(person.orgId)
    return {
      revision: record.revision,
      account: showChoices(deps, record.account),
      devices: [...deviceIds].map(id => ({
        ...seen.get(id) ?? { device_id: id, products: [], last_seen_at: null },
        choices: showChoices(deps, own(record.devices, id) ?? {})
      })),
      default: deps.regionalDefault(person.region),
      switchedOff: deps.catalog.optionalPurposes.filter(purpose => own(policy, purpose)?.state === 'off')
    }
  }

  return {
    read: async person => await show(person, await deps.consents.read(accountOf(person))),

    async findRefusal (person, patch) {
      const purposes = [patch.account ?? {}, ...Object.values(patch.devices ?? {})].flatMap(choices => Object.keys(choices))
      const refusal = findPurposeRefusal(deps.catalog, purposes)
      if (refusal !== undefined) return refusal
      const deviceIds = Object.keys(patch.devices ?? {})
      if (deviceIds.length === 0) return undefined
      const { devices } = await show(person, await deps.consents.read(accountOf(person)))
      const own = new Set([...devices.map(device => device.device_id), person.deviceId])
      return deviceIds.every(id => own.has(id)) ? undefined : 'unknown-device'
    },

    async patch (person, patch, expectedRevision, { token, verifiedBy }) {
      const subject = accountOf(person)
      const before = await deps.consents.read(subject)
      if (before.revision !== expectedRevision) return { changed: false, reason: 'revision-mismatch' }
      const context: ChangeContext = { actor: 'user', verifiedBy, via: null, noticeVersion: patch.notice_version ?? null }
      const { record, entries } = apply(subject, before, changesOf(patch), context)
      const outcome = await deps.consents.write(subject, before, record, entries, token)
      if (outcome === 'conflict') return { changed: false, reason: 'revision-mismatch' }
      if (outcome === 'spent') return { changed: false, reason: 'verification-spent' }
      if (outcome === 'superseded') return { changed: false, reason: 'verification-superseded' }
      return { changed: true, settings: await show(person, record), entries: entries.map(entry => entry.entry_id) }
    },

    async stop (person) {
      const changes = deps.catalog.optionalPurposes.map((purpose): Change => ({ scope: 'account', deviceId: null, purpose, decision: 'denied' }))
      const context: ChangeContext = { actor: 'user', verifiedBy: 'none', via: null, noticeVersion: null }
      const { record, entries } = await insist(accountOf(person), changes, context)
      return { settings: await show(person, record), entries: entries.map(entry => entry.entry_id) }
    },

    findDeviceRefusal: purposes => findPurposeRefusal(deps.catalog, purposes),

    async changeDevice (deviceId, choices) {
      const changes = Object.entries(choices).map(([purpose, decision]): Change => ({ scope: 'device', deviceId, purpose, decision }))
      const context: ChangeContext = { actor: 'device', verifiedBy: 'none', via: null, noticeVersion: null }
      const { record, entries } = await insist({ kind: 'device', id: deviceId }, changes, context)
      return {
        revision: record.revision,
        choices: showChoices(deps, own(record.devices, deviceId) ?? {}),
        entries: entries.map(entry => entry.entry_id)
      }
    },

    async history (person, limit, beforeRevision) {
      const subject = accountOf(person)
      const { revision } = await deps.consents.read(subject)
      return await deps.ledger.history(subject, revision, limit, beforeRevision)
    }
  }
}

/** Why purposes cannot be chosen, or undefined when they all can. */
export function findPurposeRefusal (catalog: Catalog, purposes: readonly string[]): PurposeRefusal | undefined {
  const known = new Map(catalog.purposes.map(purpose => [purpose.id, purpose]))
  if (purposes.some(id => !known.has(id))) return 'unknown-purpose'
  if (purposes.some(id => known.get(id)?.required === true)) return 'purpose-not-changeable'
  return undefined
}

function accountOf (person: Person): Subject {
  return { kind: 'account', id: person.accountId }
}

/** The changes that a patch asks for. */
function changesOf (patch: SettingsPatch): Change[] {
  const account = Object.entries(patch.account ?? {}).map(([purpose, decision]): Change => ({ scope: 'account', deviceId: null, purpose, decision }))
  const devices = Object.entries(patch.devices ?? {}).flatMap(([deviceId, choices]) =>
    Object.entries(choices).map(([purpose, decision]): Change => ({ scope: 'device', deviceId, purpose, decision })))
  return [...account, ...devices]
}

function showChoices ({ catalog, now }: Pick<ChangeSettingsDeps, 'catalog' | 'now'>, choices: Choices): Record<string, ShownChoice> {
  return Object.fromEntries(catalog.optionalPurposes.map(purpose => [purpose, showChoice(catalog, purpose, own(choices, purpose), now())]))
}

function showChoice ({ notices }: Catalog, purpose: string, choice: Choice | undefined, now: number): ShownChoice {
  if (choice === undefined) return { state: 'absent', since: null }
  const lapsed = lapsedSince(notices, purpose, choice, now)
  if (lapsed !== undefined) return { state: 'absent', since: lapsed }
  return { state: choice.state === 'cleared' ? 'absent' : choice.state, since: choice.since }
}
