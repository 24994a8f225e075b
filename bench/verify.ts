/** How fast people verify, and whether the slow hash of backup codes holds up intake. */
import { setTimeout as sleep } from 'node:timers/promises'
import { eachOf } from './crowd.ts'
import { median, percentile, spreadOf } from './figures.ts'
import type { Options } from './part.ts'
import { agreeingToken, mailedCode, mistype, openChallenge, signIn, turnOnTwoStep, verify, type Person } from './people.ts'
import { runServer, withTemporaryDir } from './processes.ts'
import { postSteadily } from './steady-load.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

const peopleAtOnce = 20
/** About a quarter of what a process in all roles stores on a machine with two cores. */
const batchesPerSecond = 150
const codesPerPerson = 10
/** For the letters and rows that a run leaves behind. */
const settleMs = 250
/** An e-mailed code is checked so much faster that a run needs more of them to last. */
const mailedPerBackupCode = 8

/** How often each backup code is mistyped while intake is measured: runs of some length need few prepared codes. */
const mistypes = 2

/** A verification that somebody is about to make. */
interface Trip { person: Person, backupCode?: string }
/** `perSecond`: round trips; `p99Ms`: of opening a challenge and meeting it. */
interface Verified { perSecond: number, p99Ms: number, tookMs: number }

/** All roles in one process: the thread pool and the event loop are those that intake works with. */
export async function measureVerify ({ runs, codes, say }: Options): Promise<Row[]> {
  return await withTemporaryDir(async dir => {
    const service = await runServer('src/main.ts', { DATA_DIR: dir })
    const { url } = service
    const token = await agreeingToken(url)
    const trips = await makeBackupTrips(url, (2 * runs + 1) * codes, say)
    const nextTrips = (): Trip[] => trips.splice(0, codes)
    const bodies = makeBatchTexts(400)
    const intake = async (until: Promise<unknown>): Promise<number> =>
      percentile(await postSteadily({ url, token, bodies, perSecond: batchesPerSecond }, until), 0.99)
    await intake(verifyAll(url, nextTrips())) // Warms everything up.

    const [mailed, backup]: [Verified[], Verified[]] = [[], []]
    for (let run = 1; run <= runs; run++) {
      const people = await signInAll(url, `mail-${String(run)}`, mailedPerBackupCode * codes)
      mailed.push(await verifyAll(url, people.map(person => ({ person }))))
      backup.push(await verifyAll(url, nextTrips()))
      say(`verify ${String(run)}/${String(runs)}: e-mailed code ${tell(mailed.at(-1)!)}; backup code ${tell(backup.at(-1)!)}`)
    }

    const [idle, busy]: [number[], number[]] = [[], []]
    let runMs = median(backup.map(({ tookMs }) => tookMs)) * (1 + mistypes)
    await intake(sleep(runMs))
    for (let run = 1; run <= runs; run++) {
      await sleep(settleMs)
      idle.push(await intake(sleep(runMs)))
      await sleep(settleMs)
      const verifying = verifyAll(url, nextTrips(), mistypes)
      busy.push(await intake(verifying))
      const { tookMs, perSecond } = await verifying
      runMs = tookMs
      say(`intake ${String(run)}/${String(runs)}: p99 ${idle.at(-1)!.toFixed(1)} ms idle, ${busy.at(-1)!.toFixed(1)} ms while people verify (${(perSecond * (1 + mistypes)).toFixed(1)} codes/s)`)
    }
    await service.stop()
    return [
      ...rowsOf(mailed, 'e-mailed code'),
      ...rowsOf(backup, 'backup code (scrypt)'),
      {
        what: `intake p99 at ${String(batchesPerSecond * eventsPerBatch)} events/s while ${String(peopleAtOnce)} verify by backup code`,
        value: median(busy),
        unit: 'ms',
        against: { what: 'the same while nobody verifies', value: median(idle) },
        target: { ratioAtMost: 5 },
        spread: spreadOf(idle, busy)
      }
    ]
  })
}

function rowsOf (runs: readonly Verified[], how: string): Row[] {
  const [rates, p99s] = [runs.map(run => run.perSecond), runs.map(run => run.p99Ms)]
  return [
    { what: `verify by ${how}, ${String(peopleAtOnce)} people at once`, value: median(rates), unit: 'round trips/s', spread: spreadOf(rates) },
    { what: `p99 of a round trip by ${how}`, value: median(p99s), unit: 'ms', spread: spreadOf(p99s) }
  ]
}

const tell = ({ perSecond, p99Ms }: Verified): string => `${perSecond.toFixed(1)}/s, p99 ${p99Ms.toFixed(0)} ms`

async function signInAll (url: string, prefix: string, count: number): Promise<Person[]> {
  return await eachOf(Array.from({ length: count }, (_, index) => `${prefix}-${String(index)}`), peopleAtOnce, async name => await signIn(url, name))
}

/** Trips that each use up a backup code; neighbours are different people. */
async function makeBackupTrips (url: string, count: number, say: Options['say']): Promise<Trip[]> {
  const people = await signInAll(url, 'backup', Math.ceil(count / codesPerPerson))
  let ready = 0
  const held = await eachOf(people, peopleAtOnce, async person => {
    const codes = await turnOnTwoStep(url, person)
    if (++ready % peopleAtOnce === 0) say(`verify: ${String(ready)} of ${String(people.length)} people have backup codes`)
    return codes.map(backupCode => ({ person, backupCode }))
  })
  return Array.from({ length: codesPerPerson }, (_, slot) => held.map(trips => trips[slot]!)).flat()
}

/** Every trip once, so many people at a time. Reading a mailed code takes time, but not the service's. */
async function verifyAll (url: string, trips: readonly Trip[], wrongFirst = 0): Promise<Verified> {
  const started = performance.now()
  const times = await eachOf(trips, peopleAtOnce, async ({ person, backupCode }) => {
    const [challenge, openMs] = await timed(openChallenge(url, person, 'privacy.update'))
    const code = backupCode ?? await mailedCode(url, person)
    for (let wrong = 0; wrong < wrongFirst; wrong++) await mistype(url, person, challenge, code)
    const [, verifyMs] = await timed(verify(url, person, challenge, backupCode === undefined ? 'email' : 'backup_code', code))
    return openMs + verifyMs
  })
  const tookMs = performance.now() - started
  return { perSecond: trips.length / tookMs * 1000, p99Ms: percentile(times, 0.99), tookMs }
}

async function timed<T> (work: Promise<T>): Promise<[T, number]> {
  const started = performance.now()
  return [await work, performance.now() - started]
}
