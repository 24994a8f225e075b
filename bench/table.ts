/** What a part of the benchmark hands back, and the one table that all of it is printed in. */

export interface Row {
  what: string
  value: number
  unit: string
  /** The same measured without what is in question, in the same unit; left out where there is nothing to compare with. */
  against?: { what: string, value: number }
  /** What the ratio, or the value itself, is to reach. */
  target?: { ratioAtLeast: number } | { ratioAtMost: number } | { atMost: number }
  /** How many times as much it is as with a tenth of the data. */
  growth?: number
  /** How far apart the runs were, as a share of their median. */
  spread: number
}

const none = '–'

export function renderTable (rows: readonly Row[]): string {
  const lines = rows.map(({ what, value, unit, against, target, growth }) => [
    what,
    `${show(value)} ${unit}`,
    against?.what ?? none,
    against === undefined ? none : show(against.value),
    against === undefined ? none : (value / against.value).toFixed(2),
    target === undefined ? none : showTarget(target, unit),
    growth === undefined ? none : `× ${growth.toFixed(1)}`
  ])
  const titles = ['what', 'median', 'against', 'median', 'ratio', 'target', 'growth from a tenth']
  return [titles, titles.map(() => '---'), ...lines]
    .map(cells => `| ${cells.join(' | ')} |\n`).join('')
}

function showTarget (target: NonNullable<Row['target']>, unit: string): string {
  if ('atMost' in target) return `≤ ${String(target.atMost)} ${unit}`
  return 'ratioAtLeast' in target ? `ratio ≥ ${target.ratioAtLeast.toFixed(2)}` : `ratio ≤ ${target.ratioAtMost.toFixed(2)}`
}

/** Three digits at least. */
function show (value: number): string {
  return value.toFixed(value >= 100 ? 0 : 1)
}
