/** What a part of the benchmark hands back, and the one table that all of it is printed in. */

export interface Row {
  what: string
  value: number
  unit: string
  /** The same measured without what is in question, in the same unit; left out where there is nothing to compare with. */
  against?: { what: string, value: number }
  /** What the ratio is to reach. */
  target?: number
  /** How far apart the runs were, as a share of their median. */
  spread: number
}

const none = '–'

export function renderTable (rows: readonly Row[]): string {
  const lines = rows.map(({ what, value, unit, against, target }) => [
    what,
    `${show(value)} ${unit}`,
    against?.what ?? none,
    against === undefined ? none : show(against.value),
    against === undefined ? none : (value / against.value).toFixed(2),
    target === undefined ? none : `≥ ${target.toFixed(2)}`
  ])
  return [['what', 'median', 'against', 'median', 'ratio', 'target'], Array<string>(6).fill('---'), ...lines]
    .map(cells => `| ${cells.join(' | ')} |\n`).join('')
}

/** Three digits at least. */
function show (value: number): string {
  return value.toFixed(value >= 100 ? 0 : 1)
}
