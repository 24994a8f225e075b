/** Kills before and after each command to Redis: each step of a change of settings, and of a batch. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeApi } from '../../support/api.ts'
import { openCommandProxy, type Moment } from '../command-proxy.ts'
import { withPatchedCopy, type Patch } from '../patched-copy.ts'
import { pending, play, until, type Form, type Outcome, type Scenario, type Scene } from '../scene.ts'
import type { ServiceProcess } from '../service-process.ts'
import { gatherPeople } from '../settings-people.ts'
import { setApart, type Apart, type StageOptions } from '../stage.ts'

interface Steps {
  /** The process that is killed. */
  of: ServiceProcess
  role: 'api' | 'collector' | 'writer'
  /** Which of its commands are steps; the others it sends whether anything happens or not. */
  isStep: (words: readonly string[]) => boolean
  /** Everything that takes those steps, once, whatever is killed meanwhile. */
  act: () => Promise<void>
  /** Which steps are struck; every one without it. */
  choose?: ((words: readonly string[]) => boolean) | undefined
}

interface Struck { kills: number, words: string }

const moments: readonly Moment[] = ['before', 'after']
const shortKills = 6
const startsMs = 1000 // A process that has started looks for work first.

/** Counts the steps, then makes them again for each, and kills there. */
async function strikeEach (stage: Apart, form: Form, { of: killed, role, isStep, act, choose = () => true }: Steps): Promise<Struck> {
  const proxy = await openCommandProxy(join(stage.folder, `${role}.sock`), stage.redisSocket, isStep)
  try {
    const environment = { ...stage.launch.environment, ROLE: role, REDIS_URL: `unix://${proxy.socket}` }
    await killed.end('SIGTERM')
    await killed.start({ environment })
    await sleep(startsMs)
    const steps = await proxy.list(act)
    const strikes = steps.flatMap((words, index) => moments.map(moment => ({ nth: index + 1, moment, words }))).filter(({ words }) => choose(words))
    const every = form.short ? Math.ceil(strikes.length / shortKills) : 1
    const chosen = strikes.filter((_strike, index) => index % every === form.seed % every)
    const missed: string[] = []
    for (const [index, { nth, moment, words }] of chosen.entries()) {
      const name = `${moment} command ${String(nth)} of the ${role}, ${nameOf(words)}`
      form.say(`kill ${String(index + 1)} of ${String(chosen.length)}: ${name}`)
      const strike = proxy.aim(nth, moment, () => { killed.signal('SIGKILL') }).then(async struck => {
        if (!struck) {
          missed.push(name)
          return
        }
        await killed.ended()
        await killed.start({ environment })
        await sleep(startsMs)
      })
      await Promise.all([strike, act().then(async () => {
        await sleep(500) // What goes on after the answer.
        proxy.rest()
      })])
    }
    await killed.end('SIGTERM')
    await killed.start()
    const notReached = missed.length === 0 ? '' : `, not reached: ${missed.join(', ')}`
    return { kills: chosen.length - missed.length, words: `${String(steps.length)} commands of the ${role}${notReached}` }
  } finally {
    proxy.close()
  }
}

/** The command, or the script's first line, and its first key. */
function nameOf (words: readonly string[]): string {
  const key = words.find(word => /^(assent:)?\{/.test(word)) ?? ''
  return `${words[0] ?? ''} ${key.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, '…')}`
}

const ofPerson = /^assent:\{\d+\}:(challenge|consent|devices|enrolment|security|sends):|^\{assent\}:mail:wait$/

/** One person's settings: a change with an e-mailed code, an authenticator, and a change with a backup code. */
async function strikeSettings ({ stage, crowd, random, form }: Scene<Apart>, choose?: Steps['choose']): Promise<Struck> {
  const people = gatherPeople({ ...stage.people, mailedCode: stage.mail.mailedCode }, random, 0)
  const struck = await strikeEach(stage, form, {
    of: stage.api,
    role: 'api',
    isStep: words => words.some(word => ofPerson.test(word)),
    choose,
    async act () {
      const person = await people.arrive()
      await people.change(person)
      await people.protect(person)
    }
  })
  await people.check(makeApi(() => stage.collectors[0]!.url()))
  crowd.complaints.push(...people.complaints)
  const { changes, enrolments, backupCodes, unanswered } = people.done
  return { ...struck, words: `${struck.words}; ${String(changes)} changes, ${String(enrolments)} authenticators and ${String(backupCodes)} backup codes answered, ${String(unanswered)} requests not` }
}

const ofBatch = /^assent:\{\d+\}:consent:|^\{assent\}:events:(wait|active|completed)$/

/** One batch of a device, until it is stored and its job is done. */
async function strikeBatch ({ stage, crowd, form }: Scene<Apart>, of: ServiceProcess, role: 'collector' | 'writer'): Promise<Struck> {
  const device = await crowd.newDevice()
  return await strikeEach(stage, form, {
    of,
    role,
    isStep: words => words.some(word => ofBatch.test(word)),
    async act () {
      await crowd.post(device)
      await until('the queue is empty', async () => await pending(stage) === 0, 60_000)
    }
  })
}

/** Nobody else sends meanwhile, so that each command is a step of what is looked at. */
async function playAlone (form: Form, faults: (scene: Scene<Apart>) => Promise<Struck[]>, options?: StageOptions): Promise<Outcome> {
  const words: string[] = []
  const outcome = await play(form, async () => await setApart(options), { crowd: { devices: 0, clients: 0 } }, async scene => {
    const struck = await faults(scene)
    words.push(...struck.map(({ words }) => words))
    return struck.reduce((sum, { kills }) => sum + kills, 0)
  })
  return { ...outcome, note: [...words, outcome.note].filter(text => text !== undefined).join('; ') }
}

/** A copy in which a choice is in force first, and its ledger entries are put into the outbox by a second command. */
const secondStep: Patch = {
  file: 'src/redis/consent-store.ts',
  find: /const outcome = await redis\.writeConsent\(\s+recordKey\(subject\),\s+keyIn\(partition, 'ledger'\),([^]*?)\n {6}return outcome as 'written'/,
  put: `const later = keyIn(partition, 'later', entries[0]?.entry_id ?? '')
      const outcome = await redis.writeConsent(recordKey(subject), later,$1
      for (const [, fields] of await redis.xrange(later, '-', '+')) await redis.xadd(keyIn(partition, 'ledger'), '*', ...fields)
      return outcome as 'written'`
}
const writesChoice = (words: readonly string[]): boolean => words[0]?.startsWith('eval') === true && words.some(word => /:consent:a:/.test(word))

export const eachStep: readonly Scenario[] = [
  {
    name: 'settings-each-step',
    about: 'kill before and after each command to Redis of one change, one authenticator and one backup code',
    run: async form => await playAlone(form, async scene => [await strikeSettings(scene)])
  },
  {
    name: 'batch-each-step',
    about: 'kill before and after each command to Redis of one batch, in the collector and in the writer',
    run: async form => await playAlone(form, async scene => [
      await strikeBatch(scene, scene.stage.collectors[0]!, 'collector'), await strikeBatch(scene, scene.stage.writer, 'writer')
    ])
  },
  {
    name: 'control-second-step',
    about: 'a copy that writes a choice and its ledger entry in two steps must turn a run red',
    async run (form) {
      const outcome = await withPatchedCopy(secondStep, async root =>
        await playAlone({ ...form, short: false, keepJournal: false }, async scene => [await strikeSettings(scene, writesChoice)], { root })
      ).catch((error: unknown): Outcome => ({ faults: 1, broken: [(error as Error).message] }))
      const found = outcome.broken.find(words => /ledger|history/.test(words))
      return { ...outcome, broken: found === undefined ? [`a missing entry was not found; it said: ${outcome.broken.join(', ') || 'good'}`] : [], note: `red as it must be: ${found ?? ''}` }
    }
  }
]
