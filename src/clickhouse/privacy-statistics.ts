/** Counts of choices and of decisions, as the privacy team asks for them. */
import type { ClickHouseClient } from '@clickhouse/client'
import { startOf, type Interval, type Span } from '../domain/calendar.ts'
import type { DecisionColumn, PrivacyStatistics } from '../flows/privacy-ports.ts'
import { withinHead } from './ledger-head.ts'
import { bindList } from './long-list.ts'
import { readRows } from './statements.ts'

/** The start of the interval that a day lies in; weeks begin on Monday. */
const startOfDay: Readonly<Record<Interval, (day: string) => string>> = {
  day: day => day,
  week: day => `toStartOfWeek(${day}, 1)`,
  month: day => `toStartOfMonth(${day})`
}

const columnsOf: Readonly<Record<DecisionColumn, string>> = {
  reason: 'reason', product: 'product', purpose: 'purpose', stage: 'stage', event: 'event', release: 'release', outcome: 'outcome'
}

/** A state that an entry brought or ended is counted from what it replaced, so that nothing before it has to be read. */
const changeCounts = ['granted', 'denied', 'cleared'].map(decision => `countIf(asked AND decision = '${decision}') AS ${decision}`).join(', ') + `,
  countIf(asked AND previous = 'granted') AS granted_before, countIf(asked AND previous = 'denied') AS denied_before,
  countIf(asked AND previous = 'absent') AS first, countIf(revision = 1 AND startsWith(subject, 'a:')) AS subjects`

type Counts<Name extends string> = Record<Name, number | string>

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
/** The days of a span, the last one included. */
const daysOf = ({ from, to }: Span): { from_day: string, to_day: string } => ({ from_day: dayOf(from), to_day: dayOf(Math.max(from, to - 1)) })
const inDays = 'day BETWEEN {from_day: Date} AND {to_day: Date}'

export function makePrivacyStatistics (reader: ClickHouseClient): PrivacyStatistics {
  return {
    async consentChanges (purpose, scope, interval, { from, to }, head) {
      // What is not asked for is left out before FINAL has to merge it: of an entry that arrived twice both rows are, or none.
      const start = startOfDay[interval]("toDate(greatest(recorded_at, fromUnixTimestamp64Milli({from: Int64}, 'UTC')), 'UTC')")
      const rows = await readRows<{ start: string } & Counts<'granted' | 'denied' | 'cleared' | 'granted_before' | 'denied_before' | 'first' | 'subjects'>>(reader,
        `WITH purpose = {purpose: String} AND scope = {scope: String} AS asked
         SELECT toString(if(recorded_at < fromUnixTimestamp64Milli({from: Int64}, 'UTC'), toDate('1970-01-01'), ${start})) AS start, ${changeCounts}
         FROM consent_ledger FINAL PREWHERE ((purpose = {purpose: String} AND scope = {scope: String}) OR revision = 1) AND ${withinHead}
         WHERE recorded_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC') GROUP BY start ORDER BY start`,
        { purpose, scope, from: startOf(interval, from), to, head: [...head] })
      return rows.map(row => ({
        start: Date.parse(row.start),
        granted: Number(row.granted),
        denied: Number(row.denied),
        cleared: Number(row.cleared),
        grantedBefore: Number(row.granted_before),
        deniedBefore: Number(row.denied_before),
        first: Number(row.first),
        subjects: Number(row.subjects)
      }))
    },

    async grants (purpose, scope, interval, { from, to }, noticesAt, head) {
      const startOfTime = (time: string): string => `if(${time} < fromUnixTimestamp64Milli({from: Int64}, 'UTC'), NULL, ${startOfDay[interval](`toDate(${time}, 'UTC')`)})`
      const rows = await readRows<{ notice_version: string | null, notices_before: number | string, begin: string | null, end: string | null, ended: number | boolean, alike: number | string }>(reader,
        `SELECT notice_version, notices_before, toString(${startOfTime('began_at')}) AS begin, next_at IS NOT NULL AS ended, toString(${startOfTime('next_at')}) AS end, count() AS alike
         FROM (
           SELECT decision, notice_version, arrayCount(at -> at <= toUnixTimestamp64Milli(effective_at), {notices: Array(Int64)}) AS notices_before,
             greatest(effective_at, recorded_at) AS began_at,
             leadInFrame(toNullable(recorded_at)) OVER (PARTITION BY subject, device_id ORDER BY revision, entry_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next_at
           FROM consent_ledger FINAL PREWHERE purpose = {purpose: String} AND scope = {scope: String} AND ${withinHead}
           WHERE recorded_at < fromUnixTimestamp64Milli({to: Int64}, 'UTC'))
         WHERE decision = 'granted' GROUP BY notice_version, notices_before, begin, ended, end`,
        { purpose, scope, from: startOf(interval, from), to, notices: [...noticesAt], head: [...head] })
      const before = (day: string | null): number => day === null ? -Infinity : Date.parse(day)
      return rows.map(row => ({
        notice: row.notice_version,
        noticesBefore: Number(row.notices_before),
        begin: before(row.begin),
        end: Number(row.ended) === 1 ? before(row.end) : Infinity,
        count: Number(row.alike)
      }))
    },

    async decisions (columns, interval, span) {
      const names = [...new Set([...columns, 'outcome' as const])].map(column => columnsOf[column])
      const groups = [...(interval === undefined ? [] : ['start']), ...names].join(', ')
      const start = interval === undefined ? '' : `toString(${startOfDay[interval]('day')}) AS start, `
      const rows = await readRows<Partial<Record<DecisionColumn, string | number>> & { start?: string, total: number | string }>(reader,
        `SELECT ${start}${names.join(', ')}, sum(count) AS total FROM consent_decisions_v WHERE ${inDays} GROUP BY ${groups} ORDER BY ${groups}`, daysOf(span))
      return rows.map(({ start, total, ...row }) => ({ ...row, ...(start === undefined ? {} : { start: Date.parse(start) }), count: Number(total) }))
    },

    async books (span, without) {
      const list = bindList('requests', 'UUID', without)
      const sum = (stage: string, outcome: string, name: string): string => `sumIf(count, stage = '${stage}' AND outcome = '${outcome}') AS ${name}`
      const [row] = await readRows<Counts<'accepted' | 'dropped' | 'rejected' | 'stored' | 'late' | 'failed' | 'uneven'>>(reader,
        `SELECT sum(request_accepted) AS accepted, sum(request_dropped) AS dropped, sum(request_rejected) AS rejected, sum(request_stored) AS stored,
           sum(request_late) AS late, sum(request_failed) AS failed, countIf(request_accepted != request_stored + request_late + request_failed) AS uneven
         FROM (
           SELECT ${sum('intake', 'accepted', 'request_accepted')}, ${sum('intake', 'dropped', 'request_dropped')}, ${sum('intake', 'rejected', 'request_rejected')},
             ${sum('write', 'stored', 'request_stored')}, ${sum('write', 'dropped', 'request_late')}, ${sum('write', 'failed', 'request_failed')}
           FROM consent_decisions_v WHERE ${inDays} AND request_id NOT IN ${list.expression} GROUP BY request_id)`,
        { ...daysOf(span), ...list.parameters })
      return {
        accepted: Number(row?.accepted ?? 0),
        dropped: Number(row?.dropped ?? 0),
        rejected: Number(row?.rejected ?? 0),
        stored: Number(row?.stored ?? 0),
        droppedAtWrite: Number(row?.late ?? 0),
        failed: Number(row?.failed ?? 0),
        uneven: Number(row?.uneven ?? 0)
      }
    }
  }
}
