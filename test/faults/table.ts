/** The summary of a run, as a table of Markdown. */
import type { Outcome } from './scene.ts'

export interface Row { name: string, tookMs: number, outcome?: Outcome, skipped?: string }

const columns = ['scenario', 'faults', 'sent', 'acknowledged', 'stored', 'lost', 'twice', 'unsent', 'forbidden', 'changed', 'stored unacknowledged', 'drained', 'visible', 'took', 'result']

export function renderTable (rows: readonly Row[], seed: number): string {
  const cells = rows.map(({ name, tookMs, outcome, skipped }) => {
    const seconds = (ms: number | undefined): string => ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`
    if (outcome === undefined) return [name, ...Array<string>(columns.length - 2).fill(''), `skipped: ${skipped ?? ''}`]
    const { verdict } = outcome
    const counts = verdict === undefined
      ? Array<string>(9).fill('')
      : [verdict.sent, verdict.acknowledged, verdict.stored, verdict.lost, verdict.overcounted, verdict.unsent, verdict.forbidden, verdict.mutated, verdict.unacknowledged].map(String)
    const result = [outcome.broken.length === 0 ? 'good' : `BROKEN: ${outcome.broken.join(', ')}`, ...(outcome.note === undefined ? [] : [outcome.note])].join('; ')
    return [name, String(outcome.faults), ...counts, seconds(outcome.drainedMs), seconds(outcome.visibleMs), seconds(tookMs), result]
  })
  const widths = columns.map((column, index) => Math.max(column.length, ...cells.map(row => index === columns.length - 1 ? 0 : row[index]?.length ?? 0)))
  const line = (row: readonly string[]): string => `| ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |\n`
  const broken = rows.filter(({ outcome }) => outcome !== undefined && outcome.broken.length > 0).length
  const skipped = rows.filter(row => row.skipped !== undefined).length
  return `${line(columns)}${line(widths.map(width => '-'.repeat(width)))}${cells.map(line).join('')}\n` +
    `${String(rows.length - broken - skipped)} good, ${String(broken)} broken, ${String(skipped)} skipped; seed ${String(seed)}\n`
}
