/** Kills at each system call that changes a file, of one insert and of one change of settings. */
import { setTimeout as sleep } from 'node:timers/promises'
import { pending, until, type Scenario } from '../scene.ts'
import { withPatchedCopy, type Patch } from '../patched-copy.ts'
import { gatherPeople } from '../settings-people.ts'
import { sweep, type Act, type Ground } from '../sweep.ts'
import { whyNotTraced } from '../system-calls.ts'

/** One batch: its job in Redis, its rows and its counts in ClickHouse, and the end of its job. */
async function prepareInsert ({ stage, crowd, device }: Ground): Promise<Act> {
  return {
    run: async () => { await crowd.post(device) },
    async settled () {
      await until('the queue is empty', async () => await pending(stage) === 0, 120_000)
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

/** A copy in which a batch is done, and its rows are inserted a moment later. */
const earlyDone: Patch = {
  file: 'src/redis/event-worker.ts',
  find: /await taken\[0\]\?\.begin\?\.\(\)\n/,
  put: `await taken[0]?.begin?.()
      for (const { done } of taken) done()
      await new Promise(resolve => setTimeout(resolve, 200))
`
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
    name: 'control-early-done',
    about: 'a copy that is done with a batch before it is stored must lose it at a crash point',
    cannot: whyNotTraced,
    async run (form) {
      const outcome = await withPatchedCopy(earlyDone, async root =>
        await sweep({ ...form, short: false }, { prepare: prepareInsert, root, choose: ({ process, name }) => process === 'service' && name.startsWith('rename') }))
      const lost = outcome.verdict?.lost ?? 0
      return { ...outcome, broken: lost > 0 ? [] : [`the oracle did not find what is lost; it said: ${outcome.broken.join(', ') || 'good'}`], note: `red as it must be: lost ${String(lost)}` }
    }
  }
]
