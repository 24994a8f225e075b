/** People who change their choices and protect their account, and who notice when anything is otherwise than it was answered. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, Api, RequestOptions } from '../support/api.ts'
import { attemptsPerEnrolment } from '../../src/domain/verification.ts'
import { codeOf } from '../support/two-step.ts'
import type { Random } from './random.ts'

export interface SettingsPeople {
  /** How often each was answered, and how often an answer was missing to what was sent. */
  done: { changes: number, enrolments: number, backupCodes: number, unanswered: number }
  /** What nobody may ever see. */
  complaints: string[]
  /** Somebody new, who has said nothing yet. */
  arrive: () => Promise<Person>
  /** Changes both choices, paid for with an e-mailed code. */
  change: (person: Person) => Promise<void>
  /** Sets up an authenticator, and changes both choices again, paid for with a backup code. */
  protect: (person: Person) => Promise<void>
  /** Resolves when the ledger holds the newest choice of a person. */
  settled: (person: Person) => Promise<void>
  /** Ends when each has finished what they are at. */
  stop: () => Promise<void>
  /** Holds everyone's settings against their history, against the ledger, and against what a product may collect, who asks elsewhere. */
  check: (products?: Api) => Promise<void>
}

type Choices = Record<string, 'absent' | 'granted' | 'denied'>
export interface Person { id: string, email: string, token: string, choices: Choices, twoStep: 'off' | 'on', usedCodes: number }
interface Settings { choices: Choices, revision: number, etag: string }

const purposes = ['product_analytics', 'diagnostics']
const backupCodesAtFirst = 10
const answeredWithinMs = 120_000
const tooLong = 'no answer that says what has happened, for two minutes'

/** `people`: how many act at once; whoever has done everything makes room for somebody new. */
export function gatherPeople (api: Api, random: Random, people: number): SettingsPeople {
  const done: SettingsPeople['done'] = { changes: 0, enrolments: 0, backupCodes: 0, unanswered: 0 }
  const complaints: string[] = []
  const everyone: Person[] = []
  let stopping = false

  /** Asks once. No answer, and one that says that the service failed, leave open what has happened: undefined. */
  const once = async (method: string, path: string, options: RequestOptions): Promise<Answer | undefined> => {
    const lateAt = Date.now() + answeredWithinMs
    while (Date.now() < lateAt) {
      const answer = await api.call(method, path, options).catch((error: unknown) => wasNotSent(error) ? 'not sent' : undefined)
      if (answer === undefined || (answer !== 'not sent' && answer.status >= 500)) {
        done.unanswered++
        return undefined
      }
      if (answer !== 'not sent' && answer.status !== 429) return answer
      await sleep(200) // Nothing was done.
    }
    throw new Error(`${method} ${path}: ${tooLong}`)
  }
  /** Asks until there is an answer. */
  const surely = async (method: string, path: string, options: RequestOptions, wanted?: number): Promise<Answer> => {
    const lateAt = Date.now() + answeredWithinMs
    while (Date.now() < lateAt) {
      const answer = await once(method, path, options)
      if (answer === undefined) continue
      if (wanted !== undefined && answer.status !== wanted) throw new Error(`${method} ${path}: instead of ${String(wanted)} came ${String(answer.status)} ${String(answer.body['type'])}`)
      return answer
    }
    throw new Error(`${method} ${path}: ${tooLong}`)
  }

  const read = async ({ token }: Person): Promise<Settings> => {
    const { body, headers } = await surely('GET', '/v1/me/privacy', { token }, 200)
    return { choices: Object.fromEntries(purposes.map(purpose => [purpose, body['account'][purpose].state])), revision: body['revision'], etag: headers.get('etag') ?? '' }
  }
  const open = async ({ token }: Person, purpose: string): Promise<string> => (await surely('POST', '/v1/verification/challenges', { token, body: { purpose } }, 201)).body['id'] as string
  const ofVerify = ({ token }: Person, challenge: string, method: string, code: string) =>
    ['POST', `/v1/verification/challenges/${challenge}/verify`, { token, body: { method, code } }] as const

  /** The token that an e-mailed code earns. The letter may be lost with the inbox, which is in the memory of the process. */
  const proveByEmail = async (person: Person, purpose: string): Promise<string> => {
    while (true) {
      const challenge = await open(person, purpose)
      for (let letter = 0; letter < 2; letter++) { // The first may be of an earlier challenge, and late.
        const code = await api.mailedCode(person.email).catch(() => undefined)
        if (code === undefined) break
        const attempt = ofVerify(person, challenge, 'email', code)
        const answers = [await once(...attempt), await surely(...attempt)]
        const good = answers.filter(answer => answer?.status === 200)
        if (good.length > 1) complaints.push('an e-mailed code was good twice')
        if (good[0] !== undefined) return good[0].body['verification_token'] as string
      }
    }
  }

  /** Changes both choices at once, and finds them changed together or not at all. The token pays for this change and no other. */
  const change = async (person: Person, verification: string): Promise<void> => {
    const patch = async (account: Choices, etag: string, ask: typeof once) =>
      await ask('PATCH', '/v1/me/privacy', { token: person.token, body: { account }, headers: { 'if-match': etag, 'verification-token': verification } })
    const other = (choices: Choices): Choices => Object.fromEntries(purposes.map(purpose => [purpose, choices[purpose] === 'granted' ? 'denied' : 'granted']))

    let isPaid = false
    while (!isPaid) {
      const before = await read(person)
      mustBe(person, before.choices, 'the choices are not those that were answered')
      const wanted = other(before.choices)
      const answer = await patch(wanted, before.etag, once)
      if (answer === undefined) {
        const after = await read(person)
        isPaid = isSame(after.choices, wanted) && after.revision > before.revision
        if (isPaid) person.choices = wanted
        else mustBe(person, after.choices, 'a change without an answer was done by half')
      } else if (answer.status === 200) {
        isPaid = true
        person.choices = wanted
        done.changes++
      } else {
        throw new Error(`a token that has paid for nothing was answered ${String(answer.status)} ${String(answer.body['type'])}`)
      }
    }
    const { etag, choices } = await read(person)
    mustBe(person, choices, 'the choices are not those that were answered')
    const again = await patch(other(choices), etag, surely)
    if (again?.body['type'] !== '/problems/verification-spent') complaints.push(`a spent verification token was answered ${String(again?.status)} ${String(again?.body['type'])}`)
    if (again?.status === 200) person.choices = other(choices)
  }

  /** Turns 2-step verification on; resolves with the backup codes, and with none when the answer that held them was lost. */
  const enrol = async (person: Person): Promise<string[]> => {
    const { token } = person
    const headers = { 'verification-token': await proveByEmail(person, 'two_step.enroll') }
    const started = await surely('POST', '/v1/me/two-step/totp', { token, headers })
    if (started.status !== 201) return [] // It was started, and its secret was never heard.
    const { secret, enrollment_id: id } = started.body
    for (let attempt = 1; ; attempt++) {
      const answer = await once('POST', `/v1/me/two-step/totp/${String(id)}/confirm`, { token, body: { code: await codeOf(secret) } })
      if (answer?.status === 200) {
        person.twoStep = 'on'
        done.enrolments++
        return answer.body['backup_codes'] as string[]
      }
      const status = (await readSecurity(person)).two_step.status as string
      if (status === 'on') {
        if (answer !== undefined && answer.status !== 409) complaints.push(`an authenticator that counts was answered ${String(answer.status)}`)
        person.twoStep = 'on'
        return await regenerate(person, secret)
      }
      if (answer?.body['type'] === '/problems/enrollment-exhausted' && attempt > attemptsPerEnrolment) return [] // An attempt is paid for before the look, and each was cut short.
      if (answer !== undefined) throw new Error(`an authenticator that is not confirmed was answered ${String(answer.status)} ${String(answer.body['type'])}`)
    }
  }
  const readSecurity = async ({ token }: Person): Promise<Answer['body']> => (await surely('GET', '/v1/me/security', { token }, 200)).body

  /** New backup codes in place of those that were never heard, with a code that the app shows next. */
  const regenerate = async (person: Person, secret: string): Promise<string[]> => {
    const proof = await once(...ofVerify(person, await open(person, 'backup_codes.regenerate'), 'totp', await codeOf(secret, 1)))
    if (proof === undefined) return []
    if (proof.status !== 200) throw new Error(`the app that was confirmed was answered ${String(proof.status)} ${String(proof.body['type'])}`)
    const answer = await once('POST', '/v1/me/two-step/backup-codes', { token: person.token, headers: { 'verification-token': proof.body['verification_token'] as string } })
    return answer?.status === 201 ? answer.body['codes'] as string[] : []
  }

  /** Uses a backup code, whose token pays for a change. However often it is sent, it earns one token. */
  const useBackupCode = async (person: Person, code: string): Promise<void> => {
    const first = await once(...ofVerify(person, await open(person, 'privacy.update'), 'backup_code', code))
    const second = await surely(...ofVerify(person, await open(person, 'privacy.update'), 'backup_code', code))
    const third = await surely(...ofVerify(person, await open(person, 'privacy.update'), 'backup_code', code))
    const good = [first, second, third].filter(answer => answer?.status === 200)
    if (good.length > 1) complaints.push('a backup code was good twice')
    if (first !== undefined && first.status !== 200) complaints.push(`a backup code that nobody has used was answered ${String(first.status)}`)
    person.usedCodes++
    const { remaining } = (await readSecurity(person)).backup_codes
    if (remaining !== backupCodesAtFirst - person.usedCodes) complaints.push(`of the backup codes ${String(remaining)} are left, after ${String(person.usedCodes)} were used`)
    if (good[0] === undefined) return
    done.backupCodes++
    await change(person, good[0].body['verification_token'] as string)
  }

  const mustBe = (person: Person, found: Choices, otherwise: string): void => {
    if (isSame(found, person.choices)) return
    complaints.push(`${otherwise}: ${JSON.stringify(found)} instead of ${JSON.stringify(person.choices)}`)
    person.choices = found
  }

  const arrive = async (): Promise<Person> => {
    const id = `settings-${randomUUID()}`
    const email = `${id}@example.com`
    const token = (await surely('POST', '/dev/token', { body: { sub: id, email, scope: 'settings telemetry:write', expires_in: 31_536_000 } }, 200)).body['access_token'] as string
    const person: Person = { id, email, token, choices: Object.fromEntries(purposes.map(purpose => [purpose, 'absent'])), twoStep: 'off', usedCodes: 0 }
    everyone.push(person)
    return person
  }
  const changeByEmail = async (person: Person): Promise<void> => { await change(person, await proveByEmail(person, 'privacy.update')) }

  const live = async (): Promise<void> => {
    const person = await arrive()
    for (let times = random.between(1, 2); times > 0 && !stopping; times--) await changeByEmail(person)
    const codes = stopping ? [] : await enrol(person)
    for (const code of codes.slice(0, random.between(3, 8))) {
      if (!stopping) await useBackupCode(person, code)
    }
  }
  const running = Promise.all(Array.from({ length: people }, async () => {
    while (!stopping) await live().catch((error: unknown) => { complaints.push((error as Error).message) })
  }))

  return {
    done, complaints, arrive,
    change: changeByEmail,
    async protect (person) {
      for (const code of (await enrol(person)).slice(0, 1)) await useBackupCode(person, code)
    },
    async settled (person) {
      await surely('GET', '/v1/me/privacy/history?limit=1', { token: person.token }, 200)
    },
    async stop () {
      stopping = true
      await running
    },
    async check (products = api) {
      const token = (await surely('POST', '/dev/token', { body: { sub: 'team', scope: 'privacy:read' } }, 200)).body['access_token'] as string
      const verify = async (body: object): Promise<Answer['body']> => (await surely('POST', '/v1/privacy/ledger/verify', { token, body, headers: { 'purpose-of-use': 'a reckoning' } }, 200)).body
      for (const person of everyone) {
        const { choices, revision } = await read(person)
        mustBe(person, choices, 'the choices are not those that were answered')
        const { body: { decisions } } = await products.call('GET', '/v1/consent?product=cad&release=2026', { token: person.token })
        if (purposes.some(purpose => decisions[purpose].allowed !== (choices[purpose] === 'granted'))) complaints.push(`in force is ${JSON.stringify(decisions)}, and chosen ${JSON.stringify(choices)}`)
        if ((await readSecurity(person)).two_step.status !== person.twoStep) complaints.push(`2-step verification is not ${person.twoStep}`)
        const { body: { entries } } = await surely('GET', '/v1/me/privacy/history?limit=100', { token: person.token }, 200)
        const told = Object.fromEntries(purposes.map(purpose => [purpose, entries.find((entry: { purpose: string }) => entry.purpose === purpose)?.decision ?? 'absent']))
        if (!isSame(told, choices) || (entries[0]?.revision ?? 0) !== revision) complaints.push(`the history says ${JSON.stringify(told)} and the settings ${JSON.stringify(choices)}`)
        const { ok, checked } = await verify({ account_id: person.id })
        if (ok !== true || checked !== entries.length) complaints.push(`the ledger has ${String(checked)} of ${String(entries.length)} entries, and is ${ok === true ? 'good' : 'not good'}`)
      }
      const { ok, first_bad: bad } = await verify({})
      if (ok !== true) complaints.push(`the ledger does not verify: ${JSON.stringify(bad)}`)
    }
  }
}

/** Whether the service was down before it could hear anything. */
function wasNotSent (error: unknown): boolean {
  const { message, cause } = error as Error & { cause?: { code?: string } }
  return message === 'it is down' || cause?.code === 'ECONNREFUSED'
}

function isSame (one: Choices, other: Choices): boolean {
  return purposes.every(purpose => one[purpose] === other[purpose])
}
