/** The privacy team asks who agreed to what. No answer is stale: each waits for every entry written before the question, and tells of no later one. */
import { governingScope, type Catalog } from '../domain/catalog.ts'
import { permissionFor, type AcceptReason, type ConsentRecord, type DropReason, type Standing } from '../domain/consent.ts'
import type { LedgerQuery } from '../domain/export.ts'
import type { LedgerHead } from '../domain/ledger-head.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import { lapsedSince } from '../domain/notice.ts'
import { choicesThen, entryBehind, recordThen, type ChoiceThen, type Clocks, type EntryInForce } from '../domain/point-in-time.ts'
import type { LedgerProgress } from './ports.ts'
import type { LedgerPlace, PrivacyReader } from './privacy-ports.ts'

export interface AnswerPrivacyDeps {
  catalog: Catalog
  progress: LedgerProgress
  reader: PrivacyReader
  now: () => number
}

/** The moments that an answer stands for, epoch ms: those that were asked for, or that of the call. */
export interface Moments { asOf: number, knownAt: number }

export interface AccountThen {
  accountId: string
  account: Record<string, ChoiceThen>
  devices: Array<{ deviceId: string, choices: Record<string, ChoiceThen> }>
}

export interface Check { purpose: string, product: string, release: number, accountIds: readonly string[], deviceId: string | undefined }
export interface CheckAnswer { accountId: string, allowed: boolean, reason: AcceptReason | DropReason, entryId: string | undefined }

/** Where a list of accounts has come to, and what its first page fixed for all that follow. */
export interface AccountsPlace extends Moments { after: string, head: LedgerHead }

/**
 * Where a search of the ledger has come to, and how far the ledger was for its first page: an entry that was recorded
 * before the end of a page, and written after it was read, would be missed by all pages.
 */
export interface LedgerPage { after: LedgerPlace, head: LedgerHead }

export interface AnswerPrivacy {
  account: (accountId: string, clocks: Clocks) => Promise<AccountThen & Moments & { last: { revision: number, hash: string }, head: LedgerHead }>
  /** `next` is undefined on the last page. */
  accounts: (clocks: Clocks, limit: number, place: AccountsPlace | undefined) => Promise<Moments & { accounts: AccountThen[], head: LedgerHead, next: AccountsPlace | undefined }>
  /** Answers in the order of the question. */
  check: (check: Check, clocks: Clocks) => Promise<'unknown-purpose' | (Moments & { answers: CheckAnswer[], head: LedgerHead })>
  ledger: (query: LedgerQuery, limit: number, page: LedgerPage | undefined) => Promise<{ entries: LedgerEntry[], head: LedgerHead, next: LedgerPage | undefined }>
}

export function makeAnswerPrivacy ({ catalog, progress, reader, now }: AnswerPrivacyDeps): AnswerPrivacy {
  const momentsOf = ({ asOf, knownAt }: Clocks): Moments => {
    const called = now()
    return { asOf: asOf ?? called, knownAt: knownAt ?? called }
  }

  const accountThen = (accountId: string, entries: readonly EntryInForce[], at: number): AccountThen => {
    const { account, devices } = recordThen(entries)
    const show = (choices: ConsentRecord['account']): Record<string, ChoiceThen> => choicesThen(choices, catalog.optionalPurposes, catalog.notices, at)
    return {
      accountId,
      account: show(account),
      devices: Object.entries(devices).sort(([a], [b]) => a < b ? -1 : 1).map(([deviceId, choices]) => ({ deviceId, choices: show(choices) }))
    }
  }

  return {
    async account (accountId, clocks) {
      const head = await progress.caughtUp()
      const moments = momentsOf(clocks)
      const { entries, last } = await reader.account(accountId, clocks, head)
      return { ...accountThen(accountId, entries, moments.asOf), ...moments, last, head }
    },

    async accounts (clocks, limit, place) {
      const head = place?.head ?? await progress.caughtUp()
      const moments = place ?? momentsOf(clocks)
      // One more than the page tells whether another follows.
      const found = await reader.accounts(place?.after ?? '', limit + 1, { asOf: clocks.asOf, knownAt: moments.knownAt }, head)
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        asOf: moments.asOf,
        knownAt: moments.knownAt,
        accounts: page.map(({ accountId, entries }) => accountThen(accountId, entries, moments.asOf)),
        head,
        next: last === undefined || found.length <= limit ? undefined : { asOf: moments.asOf, knownAt: moments.knownAt, head, after: last.accountId }
      }
    },

    async check ({ purpose: purposeId, product, release, accountIds, deviceId }, clocks) {
      const purpose = catalog.purposes.find(({ id }) => id === purposeId)
      if (purpose === undefined) return 'unknown-purpose'
      const head = await progress.caughtUp()
      const moments = momentsOf(clocks)
      const { accounts, deviceAlone } = await reader.forPurpose(purposeId, accountIds, deviceId, clocks, head)
      const scope = governingScope(catalog, product, release)
      const aloneRecord = deviceId === undefined ? undefined : recordThen(deviceAlone)
      const answer = (accountId: string): CheckAnswer => {
        const standing: Standing = { account: recordThen(accounts.get(accountId) ?? []), deviceId, deviceAlone: aloneRecord, orgPolicy: {}, regionalDefault: 'denied' }
        const permission = permissionFor(purpose, standing, scope, choice => lapsedSince(catalog.notices, purposeId, choice, moments.asOf) !== undefined)
        return { accountId, allowed: permission.allowed, reason: permission.reason, entryId: entryBehind(permission, standing, purposeId) }
      }
      return { ...moments, answers: accountIds.map(answer), head }
    },

    async ledger (query, limit, page) {
      const head = page?.head ?? await progress.caughtUp()
      const found = await reader.ledger(query, limit + 1, page?.after, head)
      const shown = found.slice(0, limit)
      const last = shown.at(-1)
      return { entries: shown.map(({ entry }) => entry), head, next: last === undefined || found.length <= limit ? undefined : { after: last.place, head } }
    }
  }
}
