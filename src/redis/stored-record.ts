/** A consent record as it lies in Redis, looked at before it is trusted. */
import { emptyRecord, type Choice, type Choices, type ChoiceState, type ConsentRecord } from '../domain/consent.ts'

const states: ReadonlyMap<unknown, ChoiceState> = new Map([['g', 'granted'], ['d', 'denied'], ['c', 'cleared']])

/** The record that a text holds, the empty one where there is no text; undefined when the text holds none. */
export function parseRecord (text: string | null): ConsentRecord | undefined {
  if (text === null) return emptyRecord
  const stored = parse(text)
  if (!isObject(stored)) return undefined
  const { rev, head, a, d, era = 0 } = stored
  const account = choicesOf(a)
  const devices = isObject(d) ? Object.entries(d).map(([id, choices]) => [id, choicesOf(choices)] as const) : undefined
  if (!isCount(rev) || typeof head !== 'string' || !isCount(era) || account === undefined || devices === undefined) return undefined
  const whole = devices.flatMap(([id, choices]) => choices === undefined ? [] : [[id, choices] as const])
  return whole.length < devices.length ? undefined : { revision: rev, head, account, devices: Object.fromEntries(whole), erasedAt: era }
}

function choicesOf (stored: unknown): Choices | undefined {
  if (!isObject(stored)) return undefined
  const choices = Object.entries(stored).map(([purpose, choice]) => [purpose, choiceOf(choice)] as const)
  const whole = choices.flatMap(([purpose, choice]) => choice === undefined ? [] : [[purpose, choice] as const])
  return whole.length < choices.length ? undefined : Object.fromEntries(whole)
}

function choiceOf (stored: unknown): Choice | undefined {
  if (!Array.isArray(stored)) return undefined
  const [letter, since, deniedUntil, entry, notice] = stored as unknown[]
  if (typeof since !== 'number' || typeof deniedUntil !== 'number' || typeof entry !== 'string') return undefined
  // A state that this version does not know is a no.
  return { state: states.get(letter) ?? 'denied', since, deniedUntil, entry, ...(typeof notice === 'string' ? { notice } : {}) }
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount (value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
