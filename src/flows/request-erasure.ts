/** An erasure is asked for: by the person, by the privacy team, or by a withdrawal whose purpose demands it. */
import type { Catalog } from '../domain/catalog.ts'
import type { Person } from '../domain/caller.ts'
import type { Erasure } from '../domain/erasure.ts'
import type { LedgerEntry, Subject } from '../domain/ledger.ts'
import type { ErasureProgress, ErasureStore, ErasureTable, TombstoneStore } from './erasure-ports.ts'
import type { ConsentStore, Payment, SpentToken, WriteOutcome } from './ports.ts'
import { untilWritten } from './until-written.ts'

export interface RequestErasureDeps {
  consents: Pick<ConsentStore, 'read'> & TombstoneStore
  erasures: ErasureStore
  table: ErasureTable
  /** An id for an erasure of a subject. */
  newErasureId: (subject: Subject) => string
  now: () => number
}

export type RequestOutcome =
  { requested: true, erasure: Erasure } |
  { requested: false, reason: 'verification-spent' | 'verification-superseded' }

export interface RequestErasure {
  byPerson: (person: Person, payment: Payment) => Promise<RequestOutcome>
  byTeam: (subject: Subject, reason: string) => Promise<Erasure>
  find: (id: string) => Promise<ErasureProgress | undefined>
}

export function makeRequestErasure (deps: RequestErasureDeps): RequestErasure {
  /** The tombstone comes first: from its time on nothing older gets in, so that what is deleted stays deleted. */
  const request = async (subject: Subject, about: Pick<Erasure, 'requestedBy' | 'reason'>, token?: SpentToken): Promise<{ erasure: Erasure, outcome: WriteOutcome }> => {
    const id = deps.newErasureId(subject)
    return await untilWritten('consent', async () => {
      const before = await deps.consents.read(subject)
      const erasure: Erasure = {
        id,
        accountId: subject.kind === 'account' ? subject.id : null,
        deviceId: subject.kind === 'device' ? subject.id : null,
        purpose: null,
        ...about,
        until: Math.max(deps.now(), before.erasedAt + 1)
      }
      const outcome = await deps.consents.erase(subject, before, erasure, token)
      return outcome === 'conflict' ? undefined : { erasure, outcome }
    })
  }

  return {
    async byPerson (person, { token }) {
      const { erasure, outcome } = await request({ kind: 'account', id: person.accountId }, { requestedBy: 'person', reason: 'asked for by the person' }, token)
      if (outcome === 'spent') return { requested: false, reason: 'verification-spent' }
      if (outcome === 'superseded') return { requested: false, reason: 'verification-superseded' }
      return { requested: true, erasure }
    },

    byTeam: async (subject, reason) => (await request(subject, { requestedBy: 'team', reason })).erasure,

    async find (id) {
      const found = await deps.erasures.find(id)
      if (found !== undefined) return found
      const onRecord = await deps.table.find(id)
      return onRecord && { ...onRecord, before: undefined, hidden: false, late: undefined, batches: { found: 0, remaining: 0 }, again: undefined }
    }
  }
}

/** Opens an erasure for every withdrawal among these entries whose purpose asks for one. The same entries again open nothing new. */
export function makeEraseWithdrawn (
  { catalog, erasures, erasureIdFor }: { catalog: Catalog, erasures: Pick<ErasureStore, 'open'>, erasureIdFor: (entry: LedgerEntry) => string }
): (entries: readonly LedgerEntry[]) => Promise<void> {
  const erasing = new Set(catalog.purposes.filter(({ onWithdrawal }) => onWithdrawal === 'erase').map(({ id }) => id))
  return async entries => {
    const withdrawals = entries.filter(({ decision, purpose }) => decision === 'denied' && erasing.has(purpose))
    await Promise.all(withdrawals.map(async entry => {
      await erasures.open({
        id: erasureIdFor(entry),
        accountId: entry.account_id,
        deviceId: entry.device_id,
        purpose: entry.purpose,
        requestedBy: 'withdrawal',
        reason: `ledger entry ${entry.entry_id}`,
        until: entry.effective_at
      })
    }))
  }
}
