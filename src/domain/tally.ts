/** Counts what became of events, without account, device or payload. */
import { eventKey, type Catalog } from './catalog.ts'
import type { DecisionCount, EventOutcome } from './event.ts'

export interface Tally {
  /** `event` is undefined for what could not be read as one. */
  count: (event: { name: string, version: number } | undefined, outcome: Pick<EventOutcome, 'outcome' | 'reason'>, times?: number) => void
  counts: () => DecisionCount[]
}

/** A name that the catalogue does not know is the client's text: it is counted under an empty name. */
export function makeTally (catalog: Catalog): Tally {
  const byKey = new Map<string, DecisionCount>()
  return {
    count (event, { outcome, reason }, times = 1) {
      const definition = event === undefined ? undefined : catalog.events.get(eventKey(event.name, event.version))
      const key = `${definition === undefined ? '' : eventKey(definition.name, definition.version)} ${outcome} ${reason}`
      const counted = byKey.get(key)
      if (counted !== undefined) {
        counted.count += times
        return
      }
      byKey.set(key, {
        event: definition?.name ?? '',
        version: definition?.version ?? 0,
        purpose: definition?.purpose.id ?? '',
        outcome,
        reason,
        count: times
      })
    },
    counts: () => [...byKey.values()]
  }
}
