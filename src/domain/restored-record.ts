/** A subject's state, told by a chain of which parts may be forged, gone, or written twice over after a Redis was lost. */
import { emptyRecord, type Choice, type Choices, type ConsentRecord } from './consent.ts'
import { projectEntry, type LedgerEntry } from './ledger.ts'
import { own } from './own.ts'

/** An entry as it was found, and whether it is what was sealed. */
export interface Claim { entry: LedgerEntry, isSealed: boolean }

export interface Told {
  record: ConsentRecord
  /** The hashes of all entries that it was told by. */
  heads: ReadonlySet<string>
  /** Whether there were two branches: the record is then the stricter of both for each choice, and what was said since. */
  isForked: boolean
  /** Whether something of it cannot be proved: what was granted until there is then taken for denied. */
  isDoubtful: boolean
}

/** `found`: in the order of their revisions and ids. */
export function tellRecord (found: readonly Claim[]): Told {
  const records = new Map([['', emptyRecord]])
  /** The ends of all branches by their hash, and when each was recorded. */
  const ends = new Map([['', { record: emptyRecord, recordedAt: 0 }]])
  let isForked = false
  let isDoubtful = false
  const strictestEnd = (): ConsentRecord => [...ends.values()].map(end => end.record).reduce(stricter)

  for (const claims of byRevision(found)) {
    const proved = claims.filter(({ isSealed }) => isSealed)
    if (proved.length < claims.length) isDoubtful = true
    // A forged claim counts only where no other is left, so that the chain goes on.
    const counted = proved.length > 0 ? distinct(proved) : claims.slice(0, 1)
    if (counted.length > 1) isForked = true
    for (const { entry } of counted) {
      let base = records.get(entry.prev_hash)
      if (base !== undefined && ends.size > 1 && [...ends.values()].every(end => end.record.revision < entry.revision && end.recordedAt < entry.recorded_at)) {
        base = strictestEnd() // What is said after both branches is said of what they come to together.
        ends.clear()
      }
      if (base === undefined) {
        isDoubtful = true
        base = withoutGrants(strictestEnd())
        ends.clear()
      }
      const record = proved.length > 0 ? projectEntry(base, entry) : withoutGrants(projectEntry(base, { ...entry, decision: 'denied' }))
      records.set(entry.hash, record)
      ends.delete(entry.prev_hash)
      ends.set(entry.hash, { record, recordedAt: entry.recorded_at })
    }
  }
  return { record: strictestEnd(), heads: new Set(records.keys()), isForked, isDoubtful }
}

/**
 * What stands where `current` does once the ledger was read: what the ledger tells, if `current` was made by it. Where
 * either may know what the other does not, the stricter of both for each choice.
 */
export function restoreRecord (current: ConsentRecord, { record, heads, isForked, isDoubtful }: Told): ConsentRecord {
  const erasedAt = Math.max(current.erasedAt, record.erasedAt)
  const isBehind = heads.has(current.head) && record.revision > current.revision
  const isItsEnd = current.head === record.head && !isForked && !isDoubtful
  return isBehind || isItsEnd ? { ...record, erasedAt } : { ...stricter(current, record), erasedAt }
}

/** Two records of one subject as one: of the one that reaches further, with the stricter of each choice. */
function stricter (one: ConsentRecord, other: ConsentRecord): ConsentRecord {
  const further = other.revision > one.revision ? other : one
  const deviceIds = new Set([...Object.keys(one.devices), ...Object.keys(other.devices)])
  return {
    ...further,
    account: stricterChoices(one.account, other.account),
    devices: Object.fromEntries([...deviceIds].map(id => [id, stricterChoices(own(one.devices, id) ?? {}, own(other.devices, id) ?? {})]))
  }
}

function stricterChoices (one: Choices, other: Choices): Choices {
  const purposes = new Set([...Object.keys(one), ...Object.keys(other)])
  return Object.fromEntries([...purposes].flatMap(purpose => {
    const [a, b] = [own(one, purpose), own(other, purpose)]
    const choice = a === undefined ? b : b === undefined ? a : stricterChoice(a, b)
    return choice === undefined ? [] : [[purpose, choice]]
  }))
}

const strictness = { denied: 2, cleared: 1, granted: 0 }

function stricterChoice (a: Choice, b: Choice): Choice {
  const difference = strictness[a.state] - strictness[b.state]
  const stricter = difference > 0 || (difference === 0 && a.since >= b.since) ? a : b
  return { ...stricter, deniedUntil: Math.max(a.deniedUntil, b.deniedUntil) }
}

function withoutGrants (record: ConsentRecord): ConsentRecord {
  const deny = (choices: Choices): Choices =>
    Object.fromEntries(Object.entries(choices).map(([purpose, choice]) => [purpose, choice.state === 'granted' ? { ...choice, state: 'denied' } : choice]))
  return { ...record, account: deny(record.account), devices: Object.fromEntries(Object.entries(record.devices).map(([id, choices]) => [id, deny(choices)])) }
}

function distinct (claims: readonly Claim[]): Claim[] {
  return [...new Map(claims.map(claim => [claim.entry.entry_id, claim])).values()]
}

function byRevision (claims: readonly Claim[]): Claim[][] {
  const groups: Claim[][] = []
  for (const claim of claims) {
    const group = groups.at(-1)
    if (group?.[0]?.entry.revision === claim.entry.revision) group.push(claim)
    else groups.push([claim])
  }
  return groups
}
