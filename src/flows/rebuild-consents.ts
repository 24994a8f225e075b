/** The state in Redis is made again from ClickHouse, where it is behind. It is safe beside a running service, and may be repeated. */
import { emptyRecord, type ConsentRecord } from '../domain/consent.ts'
import { subjectOf, type LedgerEntry, type Subject } from '../domain/ledger.ts'
import { sealedText } from '../domain/ledger-check.ts'
import { restoreRecord, tellRecord, type Told } from '../domain/restored-record.ts'
import type { History, LedgerScan, RestoredState } from './ledger-ports.ts'
import { untilWritten } from './until-written.ts'

export interface RebuildConsentsDeps {
  scan: Pick<LedgerScan, 'bySubject' | 'furthest'>
  history: History
  state: RestoredState
  /** HMAC of a text under the ledger's key, in hex. */
  seal: (text: string) => string
  onProgress: (progress: RebuildProgress) => void
}

export interface RebuildProgress {
  subjects: number
  entries: number
  /** Subjects whose record was behind. */
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
  const isSealed = (entry: LedgerEntry): boolean => seal(sealedText(entry)) === entry.hash

  // First, so that a service that runs meanwhile gives no place out again.
  await state.raiseCounts(await scan.furthest())

  let waiting: Array<{ subject: Subject, entries: LedgerEntry[] }> = []
  let current: { key: string, subject: Subject, entries: LedgerEntry[] } | undefined
  const settle = async (): Promise<void> => {
    await Promise.all(waiting.map(async ({ subject, entries }) => {
      const told = tellRecord(entries, isSealed)
      if (told.isDoubtful) progress.doubtful++
      if (await restore(subject, told)) progress.restored++
      if (++progress.subjects % subjectsPerReport === 0) onProgress(progress)
    }))
    waiting = []
  }

  for await (const chunk of scan.bySubject()) {
    if (progress.entries === 0 && chunk.length > 0 && !chunk.some(({ entry }) => isSealed(entry))) {
      throw new Error('LEDGER_KEY is not the key that the ledger was sealed with')
    }
    progress.entries += chunk.length
    for (const { subject: key, entry } of chunk) {
      if (current?.key !== key) {
        if (current !== undefined) waiting.push(current)
        current = { key, subject: subjectOf(entry), entries: [] }
      }
      current.entries.push(entry)
    }
    if (waiting.length >= subjectsAtOnce) await settle()
  }
  if (current !== undefined) waiting.push(current)
  await settle()

  for await (const chunk of history.tombstones()) {
    const restored = await Promise.all(chunk.map(async ({ subject, erasedAt }) => await restore(subject, { record: { ...emptyRecord, erasedAt }, isForked: false })))
    progress.erasures += restored.filter(Boolean).length
  }
  for await (const chunk of history.policies()) {
    const restored = await Promise.all(chunk.map(async stated => await state.restorePolicy(stated)))
    progress.policies += restored.filter(Boolean).length
  }
  await state.noteWhole()
  return progress

  /** Whether the record was behind what is told. */
  async function restore (subject: Subject, told: Pick<Told, 'record' | 'isForked'>): Promise<boolean> {
    const { before, after } = await untilWritten<{ before: ConsentRecord, after: ConsentRecord }>('consent', async () => {
      const before = await state.read(subject)
      const after = restoreRecord(before, told)
      if (JSON.stringify(after) === JSON.stringify(before)) return { before, after: before }
      return await state.replace(subject, before, after) ? { before, after } : undefined
    })
    return before !== after
  }
}

/** Whether the state is behind the ledger: it is new or was lost, or is an older copy. */
export async function isBehind ({ scan, state }: Pick<RebuildConsentsDeps, 'scan' | 'state'>): Promise<boolean> {
  if (!await state.isWhole()) return true
  const counts = await state.counts()
  return (await scan.furthest()).some((furthest, partition) => furthest > (counts[partition] ?? 0))
}
