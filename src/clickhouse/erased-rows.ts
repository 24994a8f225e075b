/** Which rows erasures are about: many at once, so that hundreds of people who stop together cost one look at the table. */
import { isSignedOutOnly, type Erasure } from '../domain/erasure.ts'

/**
 * Every table that holds a subject's events, and how it names them, when they occurred, when and for what they were captured.
 * A row set aside is text in the order of the columns of `events`.
 */
export const heldTables = [
  { table: 'events', eventId: 'event_id', occurred: 'toUnixTimestamp64Milli(occurred_at)', captured: 'toUnixTimestamp64Milli(captured_at)', purpose: 'purpose' },
  { table: 'failed_events', eventId: 'toUUIDOrNull(event_id)', occurred: 'JSONExtractInt(row, 9)', captured: 'JSONExtractInt(row, 10)', purpose: 'JSONExtractString(row, 12)' }
] as const

type Names = Pick<typeof heldTables[number], 'occurred' | 'captured' | 'purpose'>
type Pseudonym = (kind: 'account' | 'device', id: string | undefined) => string

/** Erasures of one kind whose keys differ, so that each row belongs to at most one of them. */
export interface ErasureGroup {
  members: Array<{ key: string, erasure: Erasure }>
  /** Their rows in a table as a condition, the key of a row, and the values bound in both. */
  rowsIn: (names: Names) => { where: string, key: string, parameters: Record<string, unknown> }
}

/** More than this make another statement: what is bound in one that deletes goes in its address, which a proxy may limit. */
const groupMax = 80

export function groupErasures (erasures: readonly Erasure[], pseudonym: Pseudonym): ErasureGroup[] {
  const groups: Array<{ kind: string, byKey: Map<string, Erasure> }> = []
  for (const erasure of erasures) {
    const kind = [erasure.accountId, erasure.deviceId, erasure.purpose].map(part => part === null ? '-' : 'x').join('')
    const key = keyOf(erasure, pseudonym)
    let group = groups.find(({ kind: other, byKey }) => other === kind && byKey.size < groupMax && !byKey.has(key))
    if (group === undefined) groups.push(group = { kind, byKey: new Map() })
    group.byKey.set(key, erasure)
  }
  return groups.map(({ byKey }) => {
    const members = [...byKey].map(([key, erasure]) => ({ key, erasure }))
    return { members, rowsIn: names => rowsOf(members, names, pseudonym) }
  })
}

/** Pseudonyms are hexadecimal, so the key can be taken apart in one way only. */
function keyOf ({ accountId, deviceId, purpose }: Erasure, pseudonym: Pseudonym): string {
  return [
    ...(accountId === null ? [] : [pseudonym('account', accountId)]),
    ...(deviceId === null ? [] : [pseudonym('device', deviceId)]),
    ...(purpose === null ? [] : [purpose])
  ].join(' ')
}

function rowsOf (members: ErasureGroup['members'], { occurred, captured, purpose }: Names, pseudonym: Pseudonym): ReturnType<ErasureGroup['rowsIn']> {
  const [first] = members
  if (first === undefined) throw new Error('a group of erasures is empty')
  const { accountId, deviceId, purpose: narrowed } = first.erasure
  const parts = [...(accountId === null ? [] : ['account_ref']), ...(deviceId === null ? [] : ['device_ref']), ...(narrowed === null ? [] : [purpose])]
  const key = parts.length === 1 ? parts.join('') : `concat(${parts.join(", ' ', ")})`
  const refs = members.map(({ erasure }) => accountId === null ? pseudonym('device', erasure.deviceId ?? undefined) : pseudonym('account', erasure.accountId ?? undefined))
  // What is kept out by its tombstone is deleted by the same times; after a withdrawal a new yes may let in what occurred before.
  const at = narrowed === null ? `least(${occurred}, ${captured})` : captured
  const where = [
    // Whose it is comes first, and alone: of most rows no more has to be read.
    `${accountId === null ? 'device_ref' : 'account_ref'} IN {refs: Array(String)}`,
    ...(isSignedOutOnly(first.erasure) ? ["account_ref = ''"] : []),
    `${at} <= transform(${key}, {keys: Array(String)}, {untils: Array(Int64)}, toInt64(-9000000000000000))`
  ].join(' AND ')
  return { where, key, parameters: { refs: [...new Set(refs)], keys: members.map(member => member.key), untils: members.map(({ erasure }) => erasure.until) } }
}
