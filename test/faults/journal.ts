/**
 * What clients did and were told, in a file that is only ever appended to. It knows nothing of the service: an entry is
 * written before a request goes out and when its answer is in, so whatever is killed, it tells what was promised.
 */
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

export interface SentEvent { id: string, name: string, version: number, occurred_at: string, properties: string, purpose: string, required: boolean }

export type Entry =
  | { what: 'permitted', who: string, purpose: string }
  | { what: 'sent', who: string, batch: string, events: SentEvent[] }
  /** The batch was answered 202; `refused` names the events that the answer did not accept, and why. */
  | { what: 'acknowledged', batch: string, refused: Array<[id: string, reason: string]> }
  /** A withdrawal, or an erasure, is asked for; and was answered, or certified. */
  | { what: 'withdrawing' | 'withdrawn' | 'erasing' | 'erased', who: string }
  /** From here on nothing can be stored, until `released`: the writer or ClickHouse is down. */
  | { what: 'held' | 'released' }
  /** All that was acknowledged before had been stored. */
  | { what: 'settled' }

export type Recorded = Entry & { at: number }

export interface Journal {
  path: string
  write: (entry: Entry) => void
  read: () => AsyncIterable<Recorded>
  close: () => void
}

/** `begun`: goes on in a journal that is there already. */
export function openJournal (path: string, { begun = false } = {}): Journal {
  const file = openSync(path, begun ? 'a' : 'ax')
  return {
    path,
    write: entry => { writeSync(file, `${JSON.stringify({ at: performance.now(), ...entry })}\n`) },
    async * read () {
      for await (const line of createInterface({ input: createReadStream(path) })) yield JSON.parse(line) as Recorded
    },
    close: () => { closeSync(file) }
  }
}
