/** Counts what became of events, without account, device or payload. */
import type { EventDefinition } from './catalog.ts'
import type { DecisionCount, EventOutcome } from './event.ts'

export interface Tally {
  /** `definition`: of the event; undefined for what is none, or none that the catalogue knows. */
  count: (definition: EventDefinition | undefined, outcome: Pick<EventOutcome, 'outcome' | 'reason'>) => void
  counts: () => DecisionCount[]
}

/** A name that the catalogue does not know is the client's text: it is counted under an empty name. */
export function makeTally (): Tally {
  const byDefinition = new Map<EventDefinition | undefined, DecisionCount[]>()
  return {
    count (definition, { outcome, reason }) {
      let counts = byDefinition.get(definition)
      if (counts === undefined) byDefinition.set(definition, counts = [])
      const counted = counts.find(known => known.reason === reason && known.outcome === outcome)
      if (counted !== undefined) counted.count++
      else counts.push({ event: definition?.name ?? '', version: definition?.version ?? 0, purpose: definition?.purpose.id ?? '', outcome, reason, count: 1 })
    },
    counts: () => [...byDefinition.values()].flat()
  }
}
