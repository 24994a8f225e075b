/** What the ledger says was in force at a moment, as it was known at a moment. */
import type { Choice, Choices, ConsentRecord, Permission, Standing } from './consent.ts'
import { lapsedSince, type Notice } from './notice.ts'
import { own } from './own.ts'
import type { Scope } from './catalog.ts'

/**
 * The two clocks of a question, epoch ms; undefined for no bound. `asOf` bounds when a choice took effect,
 * `knownAt` when it was recorded.
 */
export interface Clocks { asOf: number | undefined, knownAt: number | undefined }

/**
 * The entry in force for one choice: of those within both clocks the one with the highest revision.
 * A denial that reaches back is recorded later than what it overrules, so it wins from its effective time on.
 */
export interface EntryInForce {
  scope: Scope
  deviceId: string | null
  purpose: string
  decision: Choice['state']
  effectiveAt: number
  entryId: string
  noticeVersion: string | null
}

/** A choice as the team sees it; `cleared` is as good as never made. */
export interface ChoiceThen {
  state: 'absent' | 'granted' | 'denied'
  since: number | null
  entryId: string | null
  /** Whether it is a grant that ended because the notice it was given under was replaced. */
  lapsed: boolean
}

/** The record that a subject's entries in force make up, as decisions take it. */
export function recordThen (entries: readonly EntryInForce[]): ConsentRecord {
  const choicesOf = (some: readonly EntryInForce[]): Choices => Object.fromEntries(some.map(({ purpose, decision, effectiveAt, entryId, noticeVersion }) =>
    [purpose, { state: decision, since: effectiveAt, deniedUntil: 0, entry: entryId, ...(noticeVersion === null ? {} : { notice: noticeVersion }) }]))
  const byDevice = Map.groupBy(entries.filter(({ scope }) => scope === 'device'), ({ deviceId }) => deviceId ?? '')
  return {
    revision: 0,
    head: '',
    account: choicesOf(entries.filter(({ scope }) => scope === 'account')),
    devices: Object.fromEntries([...byDevice].map(([deviceId, some]) => [deviceId, choicesOf(some)])),
    erasedAt: 0
  }
}

/** Choices by purpose: each of `purposes`, and those that the catalogue has dropped since. `at`: epoch ms. */
export function choicesThen (choices: Choices, purposes: readonly string[], notices: readonly Notice[], at: number): Record<string, ChoiceThen> {
  return Object.fromEntries([...new Set([...purposes, ...Object.keys(choices)])].map(purpose => [purpose, choiceThen(own(choices, purpose), purpose, notices, at)]))
}

function choiceThen (choice: Choice | undefined, purpose: string, notices: readonly Notice[], at: number): ChoiceThen {
  if (choice === undefined) return { state: 'absent', since: null, entryId: null, lapsed: false }
  const lapsedAt = lapsedSince(notices, purpose, choice, at)
  const { state, since, entry: entryId } = choice
  if (lapsedAt !== undefined) return { state: 'absent', since: lapsedAt, entryId, lapsed: true }
  return { state: state === 'cleared' ? 'absent' : state, since, entryId, lapsed: false }
}

/** The entry that a permission rests on: the grant that allows, or the denial that refuses; undefined where none does. */
export function entryBehind (permission: Permission, { account, deviceId, deviceAlone }: Standing, purpose: string): string | undefined {
  if (permission.allowed) return permission.entry ?? undefined
  if (permission.reason === 'account_denied') return own(account?.account, purpose)?.entry
  if (permission.reason !== 'device_denied') return undefined
  const onDevice = [account, deviceAlone].map(record => own(own(record?.devices, deviceId ?? ''), purpose))
  return onDevice.find(choice => choice?.state === 'denied')?.entry
}
