/**
 * The privacy team takes the ledger with it. No file is kept: an export is a question bounded by a ledger head, which
 * is answered once for its manifest and again for every download.
 */
import { ExportChanged, exportPatienceMs, isReached, type ExportFormat, type ExportSum, type LedgerExport, type LedgerFile, type LedgerQuery } from '../domain/export.ts'
import { parseHead, type LedgerHead } from '../domain/ledger-head.ts'
import type { Digest, ExportStore, LedgerPages } from './export-ports.ts'
import type { LedgerProgress } from './ports.ts'

export interface ExportLedgerDeps {
  progress: LedgerProgress
  exports: ExportStore
  ledger: LedgerPages
  files: Readonly<Record<ExportFormat, () => LedgerFile>>
  makeDigest: () => Digest
  now: () => number
  newId: () => string
}

export type FoundExport = NonNullable<Awaited<ReturnType<ExportStore['find']>>>

export interface ExportLedger {
  /** `position`: of the ledger head to hold it to; the present one by default. Undefined: the ledger has not been there. */
  start: (format: ExportFormat, query: LedgerQuery, position: string | undefined, createdBy: string) => Promise<FoundExport | undefined>
  find: (id: string) => Promise<FoundExport | undefined>
  /** The bytes that `sum` tells of. Throws `ExportChanged` before the last of them when they are others. */
  read: (ledgerExport: LedgerExport, sum: ExportSum) => AsyncIterable<Uint8Array>
}

export function makeExportLedger (deps: ExportLedgerDeps): ExportLedger {
  return {
    async start (format, query, position, createdBy) {
      const current = await deps.progress.caughtUp()
      const head = position === undefined ? current : headAt(position, current)
      if (head === undefined) return undefined
      const ledgerExport = { id: deps.newId(), format, query, head, createdBy, createdAt: deps.now() }
      await deps.exports.start(ledgerExport)
      return { ledgerExport, state: { status: 'running', rowsDone: 0 } }
    },

    find: async id => await deps.exports.find(id),

    async * read (ledgerExport, sum) {
      const digest = deps.makeDigest()
      let bytes = 0
      let held: Uint8Array | undefined
      for await (const { piece } of piecesOf(deps, ledgerExport)) {
        digest.update(piece)
        bytes += piece.length
        if (bytes > sum.bytes) throw new ExportChanged()
        if (held !== undefined) yield held
        held = piece
      }
      if (digest.hex() !== sum.sha256) throw new ExportChanged()
      if (held !== undefined) yield held
    }
  }
}

type ComputeDeps = Pick<ExportLedgerDeps, 'exports' | 'ledger' | 'files' | 'makeDigest' | 'now'>

/**
 * Computes the manifest of every export that waits, and says how many were done with. One that a kill or `signal`
 * interrupts waits on, and is begun anew. Throws the last error after all had their turn.
 */
export function makeComputeExports (deps: ComputeDeps): (signal: AbortSignal) => Promise<number> {
  return async signal => {
    let done = 0
    let failure: { error: unknown } | undefined
    for (const { id, done: takeOut } of await deps.exports.waiting()) {
      if (signal.aborted) break
      const found = await deps.exports.find(id)
      try {
        if (found?.state.status === 'running' && !await compute(deps, found.ledgerExport, signal)) break
      } catch (error) {
        failure = { error }
        if (deps.now() - (found?.ledgerExport.createdAt ?? 0) < exportPatienceMs) continue
        await deps.exports.fail(id)
      }
      await takeOut()
      done++
    }
    if (failure !== undefined) throw failure.error
    return done
  }
}

/** False when it was interrupted. */
async function compute (deps: ComputeDeps, ledgerExport: LedgerExport, signal: AbortSignal): Promise<boolean> {
  const digest = deps.makeDigest()
  const sum = { rows: 0, bytes: 0 }
  for await (const { piece, rows } of piecesOf(deps, ledgerExport)) {
    if (signal.aborted) return false
    digest.update(piece)
    sum.rows += rows
    sum.bytes += piece.length
    await deps.exports.noteProgress(ledgerExport.id, sum.rows)
  }
  await deps.exports.finish(ledgerExport.id, { ...sum, sha256: digest.hex() })
  return true
}

/** The file from its beginning to its end, and how many rows lie in each piece; no piece is empty. */
async function * piecesOf ({ files, ledger }: Pick<ExportLedgerDeps, 'files' | 'ledger'>, { format, query, head }: LedgerExport): AsyncGenerator<{ piece: Uint8Array, rows: number }> {
  const file = files[format]()
  const begin = file.begin()
  if (begin.length > 0) yield { piece: begin, rows: 0 }
  for await (const entries of ledger.pages(query, head)) yield { piece: file.page(entries), rows: entries.length }
  const end = file.end()
  if (end.length > 0) yield { piece: end, rows: 0 }
}

function headAt (position: string, current: LedgerHead): LedgerHead | undefined {
  const head = parseHead(position)
  return head !== undefined && isReached(head, current) ? head : undefined
}

