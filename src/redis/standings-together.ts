/** Standings that are asked for at the same time are read in one step. */
import type { Standing } from '../domain/consent.ts'
import { Unavailable } from '../domain/unavailable.ts'
import type { BatchOwner, ConsentStore } from '../flows/ports.ts'
import { inGroups } from './group-commit.ts'

/** What gathers while so many reads are under way goes next, or after this time: Redis may be waiting for its disk. */
const roundsMax = 8
const patienceMs = 5
const ownersMax = 64

/** Reads an owner's standing at a moment after it is asked for. Whose cannot be read spoils no other's. */
export function readTogether ({ readEach }: Pick<ConsentStore, 'readEach'>): (owner: BatchOwner) => Promise<Standing> {
  const read = inGroups<BatchOwner, Standing | Unavailable>({ send: readEach, sizeOf: () => 1, sizeMax: ownersMax, itemsMax: ownersMax, roundsMax, patienceMs })
  return async owner => {
    const standing = await read(owner)
    if (standing instanceof Unavailable) throw standing
    return standing
  }
}
