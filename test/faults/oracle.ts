/** Holds what is stored against the journal: what must be there, what must not, and that it is what was sent. */
import type { Recorded, SentEvent } from './journal.ts'

export interface StoredRow { event_id: string, name: string, version: number, occurred_at: string, properties: string }

export interface Verdict {
  sent: number
  acknowledged: number
  stored: number
  /** Acknowledged, permitted, not erased, and not stored. */
  lost: number
  /** Rows beyond one for each id. */
  overcounted: number
  /** Stored and never sent. */
  unsent: number
  /** Stored without permission, after it was withdrawn, or after an erasure. */
  forbidden: number
  /** Stored otherwise than it was sent. */
  mutated: number
  /** Stored and never acknowledged, which is allowed: the answer was lost, not the event. */
  unacknowledged: number
  /** Ids to look for, some of each kind. */
  examples: string[]
}

interface Known extends SentEvent { who: string, batch: string, sentAt: number }
interface Person { permitted: Set<string>, withdrawing: number, withdrawn: number, erasing: number, erased: number }

export interface OracleOptions {
  /** Events of a 202 that the same answer did not accept are no loss: a clock that jumped may refuse what a choice permits. */
  refusalsAllowed?: boolean
  /** Ids of events that must be in `failed_events`, and of those whose batch must be given up; the scenario adds them as it goes. */
  setAside?: ReadonlySet<string>
  givenUp?: ReadonlySet<string>
}

/** Reads the whole journal, then judges the rows. */
export async function judge (journal: AsyncIterable<Recorded>, rows: readonly StoredRow[], { refusalsAllowed = false, setAside = new Set(), givenUp = new Set() }: OracleOptions = {}): Promise<Verdict> {
  const events = new Map<string, Known>()
  const people = new Map<string, Person>()
  const acknowledged = new Map<string, number>()
  const refused = new Set<string>()
  const holds: Array<{ from: number, to: number }> = []
  const settled: number[] = []
  const personOf = (who: string): Person => {
    const person = people.get(who) ?? { permitted: new Set(), withdrawing: Infinity, withdrawn: Infinity, erasing: Infinity, erased: Infinity }
    people.set(who, person)
    return person
  }

  for await (const entry of journal) {
    switch (entry.what) {
      case 'permitted': personOf(entry.who).permitted.add(entry.purpose); break
      case 'sent':
        for (const event of entry.events) {
          if (!events.has(event.id)) events.set(event.id, { ...event, who: entry.who, batch: entry.batch, sentAt: entry.at })
        }
        break
      case 'acknowledged':
        if (!acknowledged.has(entry.batch)) acknowledged.set(entry.batch, entry.at)
        for (const [id] of entry.refused) refused.add(id)
        break
      case 'held': holds.push({ from: entry.at, to: Infinity }); break
      case 'released': {
        const hold = holds.at(-1)
        if (hold !== undefined) hold.to = entry.at
        break
      }
      case 'settled': settled.push(entry.at); break
      default: {
        const person = personOf(entry.who)
        person[entry.what] = Math.min(person[entry.what], entry.at)
      }
    }
  }

  /** Whether it was permitted from its capture until it could be stored, as far as anyone outside can tell. */
  const isForbidden = ({ who, purpose, required, sentAt }: Known): boolean => {
    const person = personOf(who)
    if (sentAt < person.erasing && person.erased < Infinity) return true
    if (required) return false
    const couldNotBeStoredBefore = holds.find(hold => hold.from <= sentAt && sentAt < hold.to)?.to ?? sentAt
    return !person.permitted.has(purpose) || person.withdrawn <= couldNotBeStoredBefore
  }
  /** Whether somebody's later no may have kept it out. What had settled before that no was stored. */
  const mayBeMissing = ({ who, purpose, required, batch, id }: Known): boolean => {
    const person = personOf(who)
    const acknowledgedAt = acknowledged.get(batch) ?? Infinity
    if (person.erasing < Infinity) return true
    if (setAside.has(id) || givenUp.has(id)) return true // It is looked for elsewhere.
    if (refusalsAllowed && refused.has(id)) return true
    if (required) return false
    const storedBy = settled.find(at => at > acknowledgedAt) ?? Infinity
    return !person.permitted.has(purpose) || person.withdrawing <= storedBy
  }

  const verdict: Verdict = {
    sent: events.size, acknowledged: 0, stored: 0, lost: 0, overcounted: 0, unsent: 0, forbidden: 0, mutated: 0, unacknowledged: 0, examples: []
  }
  const find = (kind: 'lost' | 'overcounted' | 'unsent' | 'forbidden' | 'mutated', id: string): void => {
    verdict[kind]++
    if (verdict[kind] <= 3) verdict.examples.push(`${kind} ${id}`)
  }
  const stored = new Set<string>()
  for (const row of rows) {
    if (stored.has(row.event_id)) find('overcounted', row.event_id)
    stored.add(row.event_id)
    const event = events.get(row.event_id)
    if (event === undefined) {
      find('unsent', row.event_id)
      continue
    }
    if (isForbidden(event)) find('forbidden', row.event_id)
    if (!isTheSame(event, row) || setAside.has(row.event_id)) find('mutated', row.event_id)
    if (!acknowledged.has(event.batch)) verdict.unacknowledged++
  }
  for (const event of events.values()) {
    if (!acknowledged.has(event.batch)) continue
    verdict.acknowledged++
    if (!stored.has(event.id) && !mayBeMissing(event)) find('lost', event.id)
  }
  verdict.stored = stored.size
  return verdict
}

function isTheSame (sent: SentEvent, row: StoredRow): boolean {
  return sent.name === row.name && sent.version === row.version && sent.properties === row.properties &&
    sent.occurred_at === `${row.occurred_at.replace(' ', 'T')}Z`
}

/** What keeps a verdict from being good; empty when every promise was kept. */
export function findBroken (verdict: Verdict): string[] {
  const mustBeNone = ['lost', 'overcounted', 'unsent', 'forbidden', 'mutated'] as const
  return mustBeNone.filter(kind => verdict[kind] > 0).map(kind => `${kind} ${String(verdict[kind])}`)
}
