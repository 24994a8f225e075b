/** What the privacy team asks of the benchmark's data, and the bare SQL for the same answer. */
import { randomInt } from 'node:crypto'
import { overDays } from './privacy-scale.ts'
import type { Row } from './table.ts'

export interface Asked {
  method: 'GET' | 'POST'
  path: string
  body?: unknown
  /** The narrowest statement for the heart of the answer; it need not look for entries that lie there twice, as there are none. */
  sql: string
  /** Looks at the answer: one that is fast and empty is no answer. */
  holds: (answer: any) => boolean
}

export interface Question {
  what: string
  /** How often it is asked in one run. */
  times: number
  target?: Row['target']
  /** Another of its kind each time; `accounts` says how many there are. */
  make: (accounts: number) => Asked
}

const dayMs = 86_400_000
const accountsPerCheck = 10_000
const pageRows = 50
/** No factor of a round number of accounts, so that a step by it reaches all of them. */
const stride = 104_729

const accountOf = (number: number): string => `u-${String(number).padStart(7, '0')}`
const timeAgo = (daysMin: number, daysMax: number): string => new Date(Date.now() - randomInt(daysMin * dayMs / 1000, daysMax * dayMs / 1000) * 1000).toISOString()
const instant = (time: string): string => `parseDateTime64BestEffort('${time}', 3, 'UTC')`
const columns = `entry_id, account_id, device_id, scope, purpose, decision, effective_at, recorded_at, actor, verified_by, via, notice_version, revision, prev_hash, hash`
const inOrder = `ORDER BY recorded_at, subject, revision, entry_id LIMIT ${String(pageRows + 1)}`
const isPage = ({ entries }: { entries: unknown[] }): boolean => entries.length === pageRows

/** The first moment of the year that statistics are asked for. */
const yearAgo = (): string => new Date(Date.now() - 365 * dayMs).toISOString().slice(0, 10)

export const questions: readonly Question[] = [
  {
    what: 'one account at a time point',
    times: 40,
    target: { atMost: 150 },
    make: accounts => {
      const account = accountOf(randomInt(accounts) + 1)
      const at = timeAgo(0, overDays - 50)
      return {
        method: 'GET',
        path: `/v1/privacy/accounts/${account}?as_of=${at}`,
        sql: `SELECT scope, device_id, purpose, argMax((decision, effective_at, entry_id), revision) FROM consent_ledger
          WHERE subject = 'a:${account}' AND effective_at <= ${instant(at)} GROUP BY scope, device_id, purpose`,
        holds: ({ account: choices }) => choices.product_analytics.state !== 'absent'
      }
    }
  },
  {
    what: `check of ${String(accountsPerCheck)} accounts`,
    times: 5,
    target: { atMost: 1000 },
    make: accounts => {
      const first = randomInt(accounts)
      const at = timeAgo(0, overDays - 50)
      return {
        method: 'POST',
        path: '/v1/privacy/consents/check',
        body: {
          purpose: 'product_analytics', product: 'cad', release: 2026, as_of: at, accounts: Array.from({ length: accountsPerCheck }, (_, index) => accountOf((first + index * stride) % accounts + 1))
        },
        sql: `SELECT subject, argMax((decision, entry_id), revision) FROM consent_ledger
          PREWHERE purpose = 'product_analytics' AND scope = 'account' AND subject IN (
            SELECT concat('a:u-', leftPad(toString((${String(first)} + number * ${String(stride)}) % ${String(accounts)} + 1), 7, '0')) FROM numbers(${String(accountsPerCheck)}))
          WHERE effective_at <= ${instant(at)} GROUP BY subject`,
        holds: ({ answers }) => answers.length === accountsPerCheck && answers.some(({ allowed }: { allowed: boolean }) => allowed)
      }
    }
  },
  ledgerPage('all entries from a time on', () => ({ from: timeAgo(10, overDays - 10) })),
  ledgerPage('one purpose and decision from a time on', () => ({ from: timeAgo(10, overDays - 10), purpose: 'product_analytics', decision: 'denied' })),
  ledgerPage('one account', accounts => ({ account_id: accountOf(randomInt(accounts) + 1) })),
  {
    what: 'choices a day over a year',
    times: 5,
    target: { atMost: 1000 },
    make: () => ({
      method: 'GET',
      path: `/v1/privacy/stats/consents?purpose=product_analytics&interval=day&from=${yearAgo()}`,
      sql: `SELECT greatest(toDate(recorded_at), toDate('${yearAgo()}')) AS start, decision, previous, count() FROM consent_ledger
        WHERE purpose = 'product_analytics' AND scope = 'account' GROUP BY start, decision, previous`,
      holds: ({ series }) => series.length > 364 && series.at(-1).granted > 0
    })
  },
  {
    what: 'events a day by reason over a year, and their books',
    times: 5,
    target: { atMost: 1000 },
    make: () => ({
      method: 'GET',
      path: `/v1/privacy/stats/decisions?group_by=reason&interval=day&from=${yearAgo()}`,
      sql: `SELECT day, outcome, reason, sum(count) FROM decision_counts ARRAY JOIN outcomes AS outcome, reasons AS reason, counts AS count
        WHERE day >= '${yearAgo()}' GROUP BY day, outcome, reason`,
      holds: ({ rows, books }) => rows.length > 364 && books.balanced
    })
  }
]

function ledgerPage (of: string, filterFor: (accounts: number) => Record<string, string>): Question {
  return {
    what: `ledger page of ${String(pageRows)}: ${of}`,
    times: 20,
    target: { atMost: 300 },
    make: accounts => {
      const filter = filterFor(accounts)
      const where = Object.entries(filter).map(([name, value]) =>
        name === 'from' ? `recorded_at >= ${instant(value)}` : name === 'account_id' ? `subject = 'a:${value}'` : `${name} = '${value}'`)
      return {
        method: 'GET',
        path: `/v1/privacy/ledger?${new URLSearchParams({ ...filter, limit: String(pageRows) }).toString()}`,
        sql: `SELECT ${columns} FROM consent_ledger WHERE ${where.join(' AND ')} ${inOrder}`,
        holds: filter['account_id'] === undefined ? isPage : ({ entries }) => entries.length > 0
      }
    }
  }
}
