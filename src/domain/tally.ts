/** Counts what became of events, without account, device or payload. */
import { findEvent, type Catalog, type EventDefinition } from './catalog.ts'
import type { DecisionCount, EventOutcome } from './event.ts'

export interface Tally {
  /** `event` is undefined for what could not be read as one. */
  count: (event: { name: string, version: number } | undefined, outcome: Pick<EventOutcome, 'outcome' | 'reason'>) => void
  counts: () => DecisionCount[]
}

/** A name that the catalogue does not know is the client's text: it is counted under an empty name. */
export function makeTally (catalog: Catalog): Tally {
  const byDefinition = new Map<EventDefinition | undefined, DecisionCount[]>()
  return {
    count (event, { outcome, reason }) {
      const definition = event === undefined ? undefined : findEvent(catalog, event.name, event.version)
      let counts = byDefinition.get(definition)
      if (counts === undefined) byDefinition.set(definition, counts = [])
      const counted = counts.find(known => known.reason === reason && known.outcome === outcome)
      if (counted !== undefined) counted.count++
      else counts.push({ event: definition?.name ?? '', version: definition?.version ?? 0, purpose: definition?.purpose.id ?? '', outcome, reason, count: 1 })
    },
    counts: () => [...byDefinition.values()].flat()
  }
}
