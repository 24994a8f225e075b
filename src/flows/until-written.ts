/** Writes that begin anew when another write got in between. */
import { Unavailable } from '../domain/unavailable.ts'

/** More than honest writers of one record can lose in a row. */
const triesMax = 50

/**
 * Reads, decides and writes until the write holds. `attempt` answers undefined when another write got in between.
 * Throws `Unavailable` after 50 times: nothing was written, and the caller may come back.
 */
export async function untilWritten<Written extends object> (what: string, attempt: () => Promise<Written | undefined>): Promise<Written> {
  for (let tries = 0; tries < triesMax; tries++) {
    const written = await attempt()
    if (written !== undefined) return written
  }
  throw new Unavailable(what)
}
