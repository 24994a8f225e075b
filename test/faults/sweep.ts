/** Kills, or fails, one system call after another, each time in a fresh copy of the same stores, and reckons each time. */
import { copyFile, cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gatherCrowd, type Crowd, type Device } from './crowd.ts'
import { openJournal, type Journal } from './journal.ts'
import type { Verdict } from './oracle.ts'
import { makeRandom, type Random } from './random.ts'
import { pending, reckon, until, type Form, type Outcome } from './scene.ts'
import { embeddedRedisPid } from './scenarios/kills.ts'
import { setTogether, type Stage, type StageOptions } from './stage.ts'
import { listCalls, setTrap, type Fault, type SystemCall } from './system-calls.ts'

export interface Place extends SystemCall { process: 'service' | 'redis' }

/** The service in one process, and a client of it who sends only when told to. */
export interface Ground { stage: Stage, crowd: Crowd, device: Device, random: Random }

/** What is done while the process is killed. */
export interface Act {
  /** Ends when it is answered. */
  run: () => Promise<void>
  /** Resolves when all it wrote is where it belongs. */
  settled: () => Promise<void>
  /** Resolves with what does not hold, beyond what the oracle sees. */
  check: () => Promise<string[]>
}

export interface SweepOptions {
  /** Brings a fresh service to where the act begins. */
  prepare: (ground: Ground) => Promise<Act>
  /** Another copy of the sources. */
  root?: string
  /** Which calls are tried; all of them without it. */
  choose?: (place: Place) => boolean
  /** What happens there; the process is killed without it. */
  fault?: (place: Place) => Fault
}

interface Visit { place: Place, hit: boolean, reckoning: Omit<Outcome, 'faults'> }

const journalName = 'journal.ndjson'
const visitsAtOnce = 3 // Most of a visit is spent on waiting until a batch is taken up again.
const hitWithinMs = 15_000
const struckWithinMs = 300_000
const shortVisits = 10

export async function sweep (form: Form, { prepare, root, choose = () => true, fault = () => 'KILL' }: SweepOptions): Promise<Outcome> {
  const stageOptions: StageOptions = root === undefined ? {} : { root }
  const template = await mkdtemp(join(tmpdir(), 'assent-sweep-'))
  try {
    const device = await furnish(template, stageOptions, form.seed)
    const onCopy = async <Result>(seed: number, use: (ground: Ground, act: Act, journal: Journal) => Promise<Result>): Promise<Result> => {
      const folder = await mkdtemp(join(tmpdir(), 'assent-sweep-'))
      await cp(template, folder, { recursive: true, verbatimSymlinks: true })
      const stage = await setTogether({ ...stageOptions, folder })
      const journal = openJournal(join(folder, journalName), { begun: true })
      try {
        const random = makeRandom(seed)
        const ground = { stage, crowd: await gatherCrowd(stage, journal, random, { devices: 0, clients: 0 }), device, random }
        try {
          return await use(ground, await prepare(ground), journal)
        } finally {
          ground.crowd.abandon()
        }
      } finally {
        journal.close()
        await stage.close()
      }
    }

    form.say('the calls are listed…')
    const listed = (await onCopy(form.seed, async ({ stage }, act) => await listPlaces(stage, act))).filter(choose)
    if (listed.length === 0) throw new Error('strace has listed no call')
    const places = form.short ? takeSome(listed, makeRandom(form.seed)) : listed
    const visits = await visitEach(places, form, async (place, index) => await onCopy(form.seed + index, async (ground, act, journal) => {
      const visit = await visitPlace(place, fault(place), ground, act, journal, form)
      if (visit.reckoning.broken.length > 0 && form.keepJournal !== false) {
        const kept = join(tmpdir(), `assent-journal-${String(process.pid)}-${String(form.seed)}-place-${String(index + 1)}.ndjson`)
        await copyFile(journal.path, kept)
        visit.reckoning.broken.push(`journal: ${kept}`)
      }
      return visit
    }))
    return sum(visits, listed.length)
  } finally {
    await rm(template, { recursive: true, force: true })
  }
}

/** Stores as a service leaves them that has worked for a while and was ended well, with the journal of it. */
async function furnish (folder: string, options: StageOptions, seed: number): Promise<Device> {
  const stage = await setTogether({ ...options, folder })
  const journal = openJournal(join(folder, journalName))
  try {
    const crowd = await gatherCrowd(stage, journal, makeRandom(seed), { devices: 0, clients: 0 })
    const device = await crowd.newDevice()
    for (let batch = 0; batch < 3; batch++) await crowd.post(device)
    await until('the queue is empty', async () => await pending(stage) === 0, 60_000)
    return device
  } finally {
    journal.close()
    await stage.api.end('SIGTERM')
  }
}

async function listPlaces ({ api, folder, redisSocket }: Stage, { run, settled }: Act): Promise<Place[]> {
  const directory = join(folder, 'data')
  let ofRedis: SystemCall[] = []
  const ofService = await listCalls(api.pid(), directory, async () => {
    ofRedis = await listCalls(await embeddedRedisPid(redisSocket), directory, async () => {
      await run()
      await settled()
    })
  })
  return [...ofRedis.map(call => ({ ...call, process: 'redis' as const })), ...ofService.map(call => ({ ...call, process: 'service' as const }))]
}

async function visitPlace (place: Place, fault: Fault, ground: Ground, act: Act, journal: Journal, form: Form): Promise<Visit> {
  try {
    const tooLong = sleep(struckWithinMs, undefined, { ref: false }).then(() => { throw new Error(`not everything was answered and stored within ${String(struckWithinMs)} ms`) })
    const { hit, drainedMs } = await Promise.race([strikeAt(place, fault, ground, act), tooLong])
    const wrong = await act.check()
    const reckoning = await reckon(ground.stage, ground.crowd, journal, { ...form, say: () => {} }, {})
    return { place, hit, reckoning: { ...reckoning, drainedMs, broken: [...wrong, ...reckoning.broken] } }
  } catch (error) {
    return { place, hit: true, reckoning: { broken: [(error as Error).message] } }
  }
}

/** Resolves with whether the process came to the place, and how long it took from then until all was where it belongs. */
async function strikeAt (place: Place, fault: Fault, { stage: { api, folder, redisSocket }, random }: Ground, { run, settled }: Act): Promise<{ hit: boolean, drainedMs: number }> {
  // The service brings its Redis back, unless it dies with it.
  const isServiceKilled = fault === 'KILL' && (place.process === 'service' || random.next() < 0.5)
  const trap = await setTrap(place.process === 'redis' ? await embeddedRedisPid(redisSocket) : api.pid(), join(folder, 'data'), place, fault)
  const strike = async (): Promise<boolean> => {
    if (!await trap.sprung(hitWithinMs)) return false
    if (!isServiceKilled) return true
    await api.end('SIGKILL')
    await api.start()
    return true
  }
  const [hit] = await Promise.all([strike(), run()])
  const started = performance.now()
  await settled()
  return { hit, drainedMs: Math.round(performance.now() - started) }
}

/** Every so many-th, from a beginning by chance. */
function takeSome (places: readonly Place[], random: Random): Place[] {
  const step = Math.max(1, Math.floor(places.length / shortVisits))
  const from = random.between(0, step - 1)
  return places.filter((_place, index) => index % step === from).slice(0, shortVisits)
}

async function visitEach (places: readonly Place[], form: Form, visit: (place: Place, index: number) => Promise<Visit>): Promise<Visit[]> {
  const visits: Visit[] = []
  const waiting = [...places.entries()]
  const go = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, place] = next
      form.say(`place ${String(index + 1)} of ${String(places.length)}: ${nameOf(place)}`)
      visits.push(await visit(place, index).catch((error: unknown) => ({ place, hit: true, reckoning: { broken: [(error as Error).message] } })))
    }
  }
  await Promise.all(Array.from({ length: visitsAtOnce }, go))
  return visits
}

function nameOf ({ process, name, path, nth }: Place): string {
  return `${process}, ${name} ${String(nth)} on ${path}`
}

function sum (visits: readonly Visit[], listed: number): Outcome {
  const total: Verdict = { sent: 0, acknowledged: 0, stored: 0, lost: 0, overcounted: 0, unsent: 0, forbidden: 0, mutated: 0, unacknowledged: 0, examples: [] }
  for (const { reckoning: { verdict } } of visits) {
    if (verdict === undefined) continue
    for (const kind of Object.keys(total) as Array<keyof Verdict>) {
      if (kind !== 'examples') total[kind] += verdict[kind]
    }
  }
  const missed = visits.filter(({ hit }) => !hit).map(({ place }) => nameOf(place))
  const slowest = (of: 'drainedMs' | 'visibleMs'): number => Math.max(...visits.map(({ reckoning }) => reckoning[of] ?? 0))
  return {
    faults: visits.length - missed.length, verdict: total, drainedMs: slowest('drainedMs'), visibleMs: slowest('visibleMs'),
    broken: visits.flatMap(({ place, reckoning: { broken } }) => broken.map(words => `${nameOf(place)}: ${words}`)),
    note: `of ${String(listed)} calls${missed.length === 0 ? '' : `; not come to: ${missed.join(', ')}`}`
  }
}
