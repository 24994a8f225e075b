/** Days, weeks and months in UTC, as statistics count them. Times are epoch milliseconds. */

export const intervals = ['day', 'week', 'month'] as const
export type Interval = typeof intervals[number]

/** From its first moment to the one after its last. */
export interface Span { from: number, to: number }

export const dayMs = 86_400_000
const daysMax = 400
const daysByDefault = 30

/** The start of the interval that a time lies in. Weeks begin on Monday. */
export function startOf (interval: Interval, time: number): number {
  const date = new Date(time)
  if (interval === 'month') return Date.UTC(date.getUTCFullYear(), date.getUTCMonth())
  const day = Math.floor(time / dayMs) * dayMs
  return interval === 'day' ? day : day - (date.getUTCDay() + 6) % 7 * dayMs
}

/** The start of the interval after the one that begins at `start`. */
function nextStart (interval: Interval, start: number): number {
  return startOf(interval, start + (interval === 'day' ? 1 : interval === 'week' ? 7 : 31) * dayMs)
}

/** The starts of the intervals that a span touches, in order. */
export function startsIn (interval: Interval, { from, to }: Span): number[] {
  const starts: number[] = []
  for (let start = startOf(interval, from); start < to; start = nextStart(interval, start)) starts.push(start)
  return starts
}

/** The whole intervals that a span touches. */
export function wholeIntervals (interval: Interval, { from, to }: Span): Span {
  const last = startsIn(interval, { from, to }).at(-1)
  return { from: startOf(interval, from), to: last === undefined ? startOf(interval, from) : nextStart(interval, last) }
}

export type SpanRefusal = 'range-reversed' | 'range-too-long'

/** An end as it was said. `last`: its last moment; `end`: the one it is counted to. They differ for a day, which stands for all of it. */
export interface SpanEnd { last: number, end: number }

/** The span that is asked for, the last 30 days where nothing is said; or why it is none. */
export function spanOf (from: number | undefined, to: SpanEnd | undefined, now: number): Span | SpanRefusal {
  const { last, end } = to ?? { last: now, end: now }
  const begin = from ?? end - daysByDefault * dayMs
  if (begin > last) return 'range-reversed'
  return end - begin > daysMax * dayMs ? 'range-too-long' : { from: begin, to: end }
}
