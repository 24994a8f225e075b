/** The privacy team counts: how many agreed and when, and what became of events. The books must balance. */
import { startOf, startsIn, wholeIntervals, type Interval, type Span } from '../domain/calendar.ts'
import type { Catalog } from '../domain/catalog.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import { lapsedSince } from '../domain/notice.ts'
import type { LedgerProgress, QueueBooks } from './ports.ts'
import type { DecisionColumn, DecisionRow, GrantsAlike, PrivacyStatistics } from './privacy-ports.ts'

export interface AnswerStatisticsDeps {
  catalog: Catalog
  progress: LedgerProgress
  statistics: PrivacyStatistics
  queueBooks: QueueBooks
  now: () => number
}

/** How many choices stood at the end of an interval, and what changed in it. `lapsed`: of those absent, how many had been a yes. `start`: epoch ms. */
export interface ConsentCounts {
  start: number
  granted: number
  denied: number
  absent: number
  lapsed: number
  changes: { granted: number, denied: number, cleared: number }
}

/** What became of all events of a span. */
export interface Books {
  received: number
  accepted: number
  dropped: number
  rejected: number
  stored: number
  droppedAtWrite: number
  /** Accepted events that the table refused; among the dead. */
  failed: number
  pending: number
  dead: number
  balanced: boolean
}

export interface AnswerStatistics {
  consents: (purpose: string, scope: 'account' | 'device', interval: Interval, span: Span) => Promise<'unknown-purpose' | { series: ConsentCounts[], head: LedgerHead }>
  /** Counts by whole days: `span` is widened to them. */
  decisions: (columns: readonly DecisionColumn[], interval: Interval | undefined, span: Span) => Promise<{ span: Span, rows: DecisionRow[], books: Books, head: LedgerHead }>
}

export function makeAnswerStatistics ({ catalog, progress, statistics, queueBooks, now }: AnswerStatisticsDeps): AnswerStatistics {
  /** When grants alike lapse, in the interval of which they are to be counted as such; undefined while they stand. */
  const lapseOf = (purpose: string, interval: Interval, { notice, noticesBefore, begin }: GrantsAlike): number | undefined => {
    const since = catalog.notices[noticesBefore - 1]?.effectiveFrom ?? -Infinity
    const lapsed = lapsedSince(catalog.notices, purpose, { state: 'granted', since, ...(notice === null ? {} : { notice }) }, now())
    return lapsed === undefined ? undefined : Math.max(startOf(interval, lapsed), begin)
  }

  const findLapses = async (purpose: string, scope: 'account' | 'device', interval: Interval, span: Span, head: LedgerHead): Promise<Array<{ from: number, until: number, count: number }>> => {
    const { notices } = catalog
    if (!notices.some(({ material, purposes }) => material && (purposes === null || purposes.includes(purpose)))) return []
    const grants = await statistics.grants(purpose, scope, interval, span, notices.map(({ effectiveFrom }) => effectiveFrom), head)
    return grants.flatMap(alike => {
      const from = lapseOf(purpose, interval, alike)
      return from === undefined || from >= alike.end ? [] : [{ from, until: alike.end, count: alike.count }]
    })
  }

  return {
    async consents (purpose, scope, interval, span) {
      if (!catalog.purposes.some(({ id }) => id === purpose)) return 'unknown-purpose'
      const head = await progress.caughtUp()
      const whole = wholeIntervals(interval, span)
      const changes = await statistics.consentChanges(purpose, scope, interval, whole, head)
      const lapses = await findLapses(purpose, scope, interval, whole, head)
      const standing = { granted: 0, denied: 0, first: 0, subjects: 0 }
      const add = (before: number): void => {
        for (let change = changes[0]; change !== undefined && change.start < before; change = changes[0]) {
          standing.granted += change.granted - change.grantedBefore
          standing.denied += change.denied - change.deniedBefore
          standing.first += change.first
          standing.subjects += change.subjects
          changes.shift()
        }
      }
      const series = startsIn(interval, whole).map(start => {
        add(start)
        const changed = changes[0]?.start === start ? changes[0] : { granted: 0, denied: 0, cleared: 0 }
        add(start + 1)
        const { granted, denied, first, subjects } = standing
        // Of devices only those are known that chose; an account is known from whatever it chose first.
        const known = scope === 'account' ? subjects : first
        const lapsed = lapses.reduce((sum, { from, until, count }) => from <= start && start < until ? sum + count : sum, 0)
        return { start, granted: granted - lapsed, denied, absent: known - granted - denied + lapsed, lapsed, changes: { granted: changed.granted, denied: changed.denied, cleared: changed.cleared } }
      })
      return { series, head }
    },

    async decisions (columns, interval, asked) {
      const head = await progress.caughtUp()
      const span = wholeIntervals('day', asked)
      // The queue first: what leaves it meanwhile is left out of the sums, as it is counted here.
      const queued = await queueBooks.pendingAndDead(span)
      const [rows, stored] = await Promise.all([statistics.decisions(columns, interval, span), statistics.books(span, queued.requestIds)])
      const accepted = stored.accepted + queued.pending + queued.dead
      const dropped = stored.dropped + queued.dropped
      const rejected = stored.rejected + queued.rejected
      const dead = stored.failed + queued.dead
      return {
        span,
        rows,
        head,
        books: {
          received: accepted + dropped + rejected,
          accepted,
          dropped,
          rejected,
          stored: stored.stored,
          droppedAtWrite: stored.droppedAtWrite,
          failed: stored.failed,
          pending: queued.pending,
          dead,
          balanced: stored.uneven === 0 && accepted === stored.stored + stored.droppedAtWrite + queued.pending + dead
        }
      }
    }
  }
}
