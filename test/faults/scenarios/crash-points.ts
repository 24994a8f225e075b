/** Kills at each system call that changes a file, of one insert and of one change of settings. */
import { pending, until, type Scenario } from '../scene.ts'
import { gatherPeople } from '../settings-people.ts'
import { sweep, type Act, type Ground } from '../sweep.ts'
import { whyNotTraced } from '../system-calls.ts'

/** One batch: its job in Redis, its rows and its counts in ClickHouse, and the end of its job. */
async function prepareInsert ({ stage, crowd, device }: Ground): Promise<Act> {
  return {
    run: async () => { await crowd.post(device) },
    settled: async () => { await until('the queue is empty', async () => await pending(stage) === 0, 120_000) },
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
  }
]
