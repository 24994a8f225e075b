/** One scenario from beginning to end: a stage, a crowd, faults, and then the reckoning. */
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gatherCrowd, type Crowd, type CrowdOptions, type Device } from './crowd.ts'
import { openJournal, type Journal } from './journal.ts'
import { findBroken, judge, type OracleOptions, type Verdict } from './oracle.ts'
import { makeRandom, type Random } from './random.ts'
import { readStored, type Stage } from './stage.ts'

export interface Form {
  seed: number
  /** How often a scenario of kills kills. */
  kills: number
  /** Whether waits are cut to what shows the same, less often. */
  short: boolean
  /** Whether the journal of a run in which something broke is kept; so unless it says otherwise. */
  keepJournal?: boolean
  /** Tells whoever waits how far it is. */
  say: (text: string) => void
}

export interface Outcome {
  /** How many faults were made. */
  faults: number
  verdict?: Verdict
  /** Until everything that waited was stored, and until a new batch could be read. */
  drainedMs?: number
  visibleMs?: number
  /** What is wrong; empty when every promise was kept. */
  broken: string[]
  /** What a reader of the table should know. */
  note?: string
}

export interface Scenario {
  name: string
  /** What it does, in a sentence. */
  about: string
  /** Only for those who ask for the long form. */
  longOnly?: true
  /** Why it cannot run on this machine; undefined when it can. */
  cannot?: () => Promise<string | undefined>
  run: (form: Form) => Promise<Outcome>
}

export interface Scene<S extends Stage> { stage: S, crowd: Crowd, journal: Journal, random: Random, form: Form }

export interface SceneOptions extends OracleOptions {
  crowd?: CrowdOptions
  /** How long draining may take; a promise only where it is one. */
  drainWithinMs?: number
}

const visibleWithinMs = { long: 5000, short: 60_000 } // The short form runs beside other tests, and is no measurement.

/** Plays `faults`, which tells how many it made, and reckons. The journal is kept when something is broken. */
export async function play<S extends Stage> (form: Form, setStage: () => Promise<S>, options: SceneOptions, faults: (scene: Scene<S>) => Promise<number>): Promise<Outcome> {
  const random = makeRandom(form.seed)
  const stage = await setStage()
  const journal = openJournal(join(tmpdir(), `assent-journal-${String(process.pid)}-${String(form.seed)}-${String(Date.now())}.ndjson`))
  const mayKeep = form.keepJournal ?? true
  let keep = mayKeep
  try {
    const crowd = await gatherCrowd(stage, journal, random, options.crowd)
    let outcome: Outcome
    try {
      if (options.crowd?.clients !== 0) await crowd.more(5)
      const made = await faults({ stage, crowd, journal, random, form })
      outcome = { faults: made, ...await reckon(stage, crowd, journal, form, options) }
    } finally {
      crowd.abandon()
    }
    keep = mayKeep && outcome.broken.length > 0
    return keep ? { ...outcome, note: [outcome.note, `journal: ${journal.path}`].filter(text => text !== undefined).join('; ') } : outcome
  } finally {
    journal.close()
    await stage.close()
    if (!keep) await rm(journal.path)
  }
}

/** Ends the load, and holds what is stored against the journal. */
export async function reckon (stage: Stage, crowd: Crowd, journal: Journal, form: Form, options: SceneOptions): Promise<Omit<Outcome, 'faults'>> {
  form.say('the load ends; what waits is stored…')
  await crowd.stop()
  const drainWithinMs = options.drainWithinMs ?? 120_000
  const drainedMs = await until('the queue is empty', async () => await pending(stage) === 0, drainWithinMs)
  await crowd.certified()
  const visibleMs = await untilVisible(stage, crowd, await crowd.newDevice())
  let twice = 0
  for (let round = 0; round < 3; round++) { // More than once: what is stored twice is one row again when ClickHouse merges it.
    await crowd.repeat(3) // As clients do that did not hear the answer.
    await until('the queue is empty again', async () => await pending(stage) === 0, drainWithinMs)
    twice = Math.max(twice, Number((await stage.sql<{ n: string | number }>('SELECT count() - uniqExact(event_id) AS n FROM events_v'))[0]?.n))
  }
  journal.write({ what: 'settled' })
  const judged = await judge(journal.read(), await readStored(stage), options)
  const verdict = { ...judged, overcounted: Math.max(judged.overcounted, twice) }
  const broken = [...crowd.complaints.slice(0, 3), ...findBroken(verdict), ...await findUneven(stage, options)]
  const limit = form.short ? visibleWithinMs.short : visibleWithinMs.long
  if (visibleMs > limit) broken.push(`a new batch was visible after ${String(visibleMs)} ms only`)
  return { verdict, drainedMs, visibleMs, broken: [...broken, ...verdict.examples] }
}

export async function pending (stage: Stage): Promise<number | undefined> {
  return (await stage.people.call('GET', '/health/ready').catch(() => undefined))?.body['pending'] as number | undefined
}

async function untilVisible (stage: Stage, crowd: Crowd, device: Device): Promise<number> {
  const ids = await crowd.post(device)
  const list = ids.map(id => `'${id}'`).join()
  return await until('a new batch is visible', async () =>
    Number((await stage.sql<{ n: string | number }>(`SELECT count() AS n FROM events_v WHERE event_id IN (${list})`))[0]?.n) === ids.length, 60_000)
}

/** The service's own books, and what it gave up. */
async function findUneven (stage: Stage, { setAside = new Set(), givenUp = new Set() }: OracleOptions): Promise<string[]> {
  const token = await stage.people.token({ sub: 'team', scope: 'privacy:read' })
  const { body: { books } } = await stage.people.call('GET', '/v1/privacy/stats/decisions', { token, headers: { 'purpose-of-use': 'a reckoning' } })
  const failed = (await stage.sql<{ event_id: string }>("SELECT DISTINCT event_id FROM failed_events WHERE reason LIKE 'clickhouse_%'")).map(row => row.event_id)
  const [all] = await stage.sql<{ n: string | number }>('SELECT uniqExact(event_id) AS n FROM failed_events')
  return [
    ...(books.balanced === true && books.pending === 0 ? [] : [`the service's own books do not balance: ${JSON.stringify(books)}`]),
    ...(books.dead === setAside.size + givenUp.size ? [] : [`given up or set aside ${String(books.dead)} by the books, not ${String(setAside.size + givenUp.size)}`]),
    ...(Number(all?.n) === setAside.size && failed.every(id => setAside.has(id)) ? [] : [`set aside ${String(all?.n)} rows, not the ${String(setAside.size)} there should be`])
  ]
}

/** Resolves with how long it took, ms. */
export async function until (what: string, ask: () => Promise<boolean>, withinMs: number): Promise<number> {
  const started = performance.now()
  while (!await ask()) {
    if (performance.now() - started > withinMs) throw new Error(`this did not happen within ${String(withinMs)} ms: ${what}`)
    await sleep(25)
  }
  return Math.round(performance.now() - started)
}
