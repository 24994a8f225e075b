/** The state in Redis is made again from ClickHouse, where it is behind. It is safe beside a running service, and may be repeated. */
import { emptyRecord, type ConsentRecord } from '../domain/consent.ts'
import { canonicalJson, subjectKey, subjectOf, type Subject } from '../domain/ledger.ts'
import { sealedText, type FiledEntry } from '../domain/ledger-check.ts'
import { restoreRecord, tellRecord, type Claim, type Told } from '../domain/restored-record.ts'
import type { HeldRecord, History, LedgerScan, RestoredState } from './ledger-ports.ts'
import { untilWritten } from './until-written.ts'

export interface RebuildConsentsDeps {
  scan: Pick<LedgerScan, 'bySubject' | 'furthest' | 'reached'>
  history: History
  state: RestoredState
  /** HMAC of a text under the ledger's key, in hex. */
  seal: (text: string) => string
  onProgress: (progress: RebuildProgress) => void
}

export interface RebuildProgress {
  subjects: number
  entries: number
  /** Subjects whose record was behind, or not what their entries tell. */
  restored: number
  /** Subjects whose chain does not verify: what it cannot prove counts as denied. */
  doubtful: number
  erasures: number
  policies: number
}

const subjectsPerReport = 1000
const subjectsAtOnce = 200

/** @throws when the key is not the one that the ledger was sealed with: all of it would count as denied */
export async function rebuildConsents ({ scan, history, state, seal, onProgress }: RebuildConsentsDeps): Promise<RebuildProgress> {
  const progress: RebuildProgress = { subjects: 0, entries: 0, restored: 0, doubtful: 0, erasures: 0, policies: 0 }
  const claimOf = ({ entry, isReadable }: Pick<FiledEntry, 'entry' | 'isReadable'>): Claim => ({ entry, isSealed: isReadable && seal(sealedText(entry)) === entry.hash })

  // First, so that a service that runs meanwhile gives no place out again.
  await state.raiseCounts(await scan.reached(await state.counts()))

  let waiting: Array<{ key: string, claims: Claim[] }> = []
  let current: { key: string, claims: Claim[] } | undefined
  const settle = async (): Promise<void> => {
    await Promise.all(waiting.map(async ({ key, claims }) => {
      const subject = subjectOfKey(key)
      const own = claims.filter(claim => isOf(key, claim))
      const told = tellRecord(own)
      if (told.isDoubtful || own.length < claims.length) progress.doubtful++
      if (subject === undefined || own.length === 0) return
      if (await restore(subject, told)) progress.restored++
      if (++progress.subjects % subjectsPerReport === 0) onProgress(progress)
    }))
    waiting = []
  }

  for await (const chunk of scan.bySubject()) {
    const claims = chunk.map(claimOf)
    if (progress.entries === 0 && chunk.length > 0 && !claims.some(({ isSealed }) => isSealed)) {
      throw new Error('LEDGER_KEY is not the key that the ledger was sealed with')
    }
    progress.entries += chunk.length
    for (const [index, claim] of claims.entries()) {
      const key = chunk[index]?.subject ?? ''
      if (current?.key !== key) {
        if (current !== undefined) waiting.push(current)
        current = { key, claims: [] }
      }
      current.claims.push(claim)
    }
    if (waiting.length >= subjectsAtOnce) await settle()
  }
  if (current !== undefined) waiting.push(current)
  await settle()

  for await (const chunk of history.tombstones()) {
    const restored = await Promise.all(chunk.map(async ({ subject, erasedAt }) => await restoreErasure(subject, erasedAt)))
    progress.erasures += restored.filter(Boolean).length
  }
  for await (const chunk of history.policies()) {
    const restored = await Promise.all(chunk.map(async stated => await state.restorePolicy(stated)))
    progress.policies += restored.filter(Boolean).length
  }
  await state.noteWhole()
  return progress

  /** Whether the record was not what is told. */
  async function restore (subject: Subject, told: Told): Promise<boolean> {
    return await write(subject, async held => {
      const before = held ?? emptyRecord
      const after = restoreRecord(before, told)
      const isPlain = held !== undefined && (held.revision === 0 || isSame(held, after) || (told.heads.has(held.head) && told.record.head !== held.head))
      // The record may know what the ledger did not when it was read.
      return isPlain ? after : restoreRecord(before, await tellAnew(subject))
    })
  }

  async function restoreErasure (subject: Subject, erasedAt: number): Promise<boolean> {
    return await write(subject, (before = emptyRecord) => erasedAt > before.erasedAt ? { ...before, erasedAt } : before)
  }

  /** What is on its way to the ledger counts too. It is read first: it leaves for the ledger, never the other way. */
  async function tellAnew (subject: Subject): Promise<Told> {
    const found = (await state.waiting(subject)).map(entry => claimOf({ entry, isReadable: true }))
    for await (const chunk of scan.bySubject(subject)) found.push(...chunk.map(claimOf))
    const ids = ({ entry }: Claim): string => entry.entry_id
    return tellRecord(found.filter(claim => isOf(subjectKey(subject), claim)).toSorted((a, b) => a.entry.revision - b.entry.revision || (ids(a) < ids(b) ? -1 : 1)))
  }

  /** Whether there was something to write. */
  async function write (subject: Subject, restored: (before: ConsentRecord | undefined) => ConsentRecord | Promise<ConsentRecord>): Promise<boolean> {
    const { isNew } = await untilWritten<{ isNew: boolean }>('consent', async () => {
      const before: HeldRecord = await state.read(subject)
      const after = await restored(before.record)
      if (before.record !== undefined && isSame(before.record, after)) return { isNew: false }
      return await state.replace(subject, before, after) ? { isNew: true } : undefined
    })
    return isNew
  }
}

/** Whether a claim is filed with its subject; one that is not what was sealed may name anyone, so it counts where it lies. */
function isOf (key: string, { entry, isSealed }: Claim): boolean {
  return !isSealed || subjectKey(subjectOf(entry)) === key
}

function subjectOfKey (key: string): Subject | undefined {
  const id = key.slice(2)
  if (key.startsWith('a:')) return { kind: 'account', id }
  return key.startsWith('d:') ? { kind: 'device', id } : undefined
}

function isSame (one: ConsentRecord, other: ConsentRecord): boolean {
  return JSON.stringify(one) === JSON.stringify(other) || canonicalJson(one) === canonicalJson(other)
}

/** Whether the state is behind the ledger: it is new or was lost, or is an older copy. */
export async function isBehind ({ scan, state }: Pick<RebuildConsentsDeps, 'scan' | 'state'>): Promise<boolean> {
  if (!await state.isWhole()) return true
  const reached = await scan.reached(await state.counts())
  const counts = await state.counts() // After the ledger, which may grow meanwhile: a place is counted before it is taken.
  return reached.some((furthest, partition) => furthest > (counts[partition] ?? 0))
}
