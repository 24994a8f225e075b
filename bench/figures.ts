/** What many measurements come down to. */

export function median (values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** The smallest value that at least this share of the values does not exceed (nearest rank). */
export function percentile (values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
}

/** How far apart the runs of one thing were, as a share of their median; the worst of the series. */
export function spreadOf (...series: ReadonlyArray<readonly number[]>): number {
  return Math.max(...series.map(values => (Math.max(...values) - Math.min(...values)) / median(values)))
}
