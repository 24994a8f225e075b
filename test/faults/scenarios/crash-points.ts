/** Kills at, or fails, each system call that changes a file, of one batch and of one change of settings. */
import { setTimeout as sleep } from 'node:timers/promises'
import { pending, until, type Scenario } from '../scene.ts'
import { withPatchedCopy, type Patch } from '../patched-copy.ts'
import { gatherPeople } from '../settings-people.ts'
import { sweep, type Act, type Ground, type Place } from '../sweep.ts'
import { whyNotTraced, type Fault } from '../system-calls.ts'

/** One batch: its job in Redis, its rows and its counts in ClickHouse, and the end of its job. */
async function prepareInsert ({ stage, crowd, device }: Ground): Promise<Act> {
  let list = ''
  const areStored = async (): Promise<boolean> =>
    Number((await stage.sql<{ n: string | number }>(`SELECT count() AS n FROM events_v WHERE event_id IN (${list})`))[0]?.n) > 0
  return {
    run: async () => { list = (await crowd.post(device)).map(id => `'${id}'`).join() },
    async settled () {
      await until('the queue is empty', async () => await pending(stage) === 0, 120_000)
      await until('what was acknowledged is stored', areStored, 5000).catch(() => {}) // The oracle says so better.
      await sleep(500) // The engine may have something left to do.
    },
    check: async () => []
  }
}

/** Somebody's second change, a no to what they said yes to: challenge, letter, code, change, ledger. */
async function prepareChange ({ stage: { people: api }, random }: Ground): Promise<Act> {
  const people = gatherPeople(api, random, 0)
  const person = await people.arrive()
  await people.change(person)
  await people.settled(person)
  return {
    run: async () => { await people.change(person) },
    settled: async () => { await people.settled(person) },
    async check () {
      await people.change(await people.arrive())
      await people.check()
      return people.complaints
    }
  }
}

/** What needs room fails for want of it, everything else for a bad disk. */
const failOnce = ({ name }: Place): Fault => /write|mkdir|link/.test(name) ? 'ENOSPC' : 'EIO'
/** The embedded engine says of an insert that it is stored when a write of these has failed; docs/reliability.md tells of it. */
const isHeard = ({ name, path }: Place): boolean => !(name === 'write' && /\/data\.(bin|cmrk4)$/.test(path))

/** A copy in which a batch is done, and its rows are inserted a moment later. */
const earlyDone: Patch = {
  file: 'src/redis/flushes.ts',
  find: /await store\(\{ batches: taken/,
  put: `for (const { done } of taken) done()
      await new Promise(resolve => setTimeout(resolve, 200))
      await store({ batches: taken`
}

export const crashPoints: readonly Scenario[] = [
  {
    name: 'crash-points-insert',
    about: 'kill at each write, sync, rename and mkdir of one batch, in Redis and in the engine',
    cannot: whyNotTraced,
    run: async form => await sweep(form, { prepare: prepareInsert })
  },
  {
    name: 'crash-points-settings',
    about: 'kill at each write, sync, rename and mkdir of one change of settings',
    cannot: whyNotTraced,
    run: async form => await sweep(form, { prepare: prepareChange })
  },
  {
    name: 'failing-calls-insert',
    about: 'each write, sync, rename and mkdir of one batch fails once: no room (ENOSPC), or a bad disk (EIO)',
    cannot: whyNotTraced,
    run: async form => await sweep(form, { prepare: prepareInsert, fault: failOnce, choose: isHeard })
  },
  {
    name: 'failing-calls-settings',
    about: 'each write, sync, rename and mkdir of one change of settings fails once',
    cannot: whyNotTraced,
    run: async form => await sweep(form, { prepare: prepareChange, fault: failOnce, choose: isHeard })
  },
  {
    name: 'control-early-done',
    about: 'a copy that is done with a batch before it is stored must lose it at a crash point',
    cannot: whyNotTraced,
    async run (form) {
      const outcome = await withPatchedCopy(earlyDone, async root =>
        await sweep({ ...form, short: false, keepJournal: false }, { prepare: prepareInsert, root, choose: ({ process, name }) => process === 'service' && name.startsWith('rename') }))
      const lost = outcome.verdict?.lost ?? 0
      return { ...outcome, broken: lost > 0 ? [] : [`the oracle did not find what is lost; it said: ${outcome.broken.join(', ') || 'good'}`], note: `red as it must be: lost ${String(lost)}` }
    }
  }
]
