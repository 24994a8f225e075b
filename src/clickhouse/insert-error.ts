/** Why an insert did not go through, as one of few words: what to do depends on it. */
import { isClickHouseError } from './client.ts'

export const insertErrorKinds = ['access', 'data', 'disk-full', 'memory', 'no-answer', 'other', 'read-only', 'too-many-parts', 'too-slow'] as const
export type InsertErrorKind = typeof insertErrorKinds[number]

/** ClickHouse's own numbers. */
const kindByCode: Readonly<Record<string, InsertErrorKind>> = {
  159: 'too-slow', 160: 'too-slow', 164: 'read-only', 192: 'access', 193: 'access', 194: 'access', 209: 'too-slow', 241: 'memory', 242: 'read-only', 243: 'disk-full',
  252: 'too-many-parts', 497: 'access', 516: 'access'
}

/** `isData`: the rows themselves were refused. */
export function insertErrorKind (error: unknown, isData: boolean): InsertErrorKind {
  if (isData) return 'data'
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return isClickHouseError(cause) ? kindByCode[cause.code] ?? 'other' : 'no-answer'
}
