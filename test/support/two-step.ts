/** People with 2-step verification, as their authenticator app and their mailbox see it. */
import { generate } from 'otplib'
import { signIn, type Answer, type Api, type Person } from './api.ts'

export interface TwoStepPerson extends Person {
  secret: string
  backupCodes: string[]
}

/** How a challenge is met: `code` only when it is neither made by the app nor mailed. */
export interface Proof { method: 'totp' | 'email' | 'backup_code', code?: string }

export interface TwoStepClient {
  open: (person: Pick<Person, 'token'>, purpose: string) => Promise<Answer>
  verify: (person: Pick<Person, 'token'>, id: string, method: string, code: string) => Promise<Answer>
  /** Opens a challenge and meets it. */
  prove: (person: Person & { secret?: string }, purpose: string, proof: Proof) => Promise<Answer>
  /** The token of a challenge that was met. */
  pay: (person: Person & { secret?: string }, purpose: string, proof: Proof) => Promise<string>
  call: (person: Pick<Person, 'token'>, method: string, path: string, verification?: string, body?: unknown) => Promise<Answer>
  enrol: (person: Person) => Promise<Answer>
  confirm: (person: Pick<Person, 'token'>, enrolmentId: string, code: string) => Promise<Answer>
  /** A signed-in person who has turned 2-step verification on. */
  protect: (name: string) => Promise<TwoStepPerson>
  status: (person: Pick<Person, 'token'>) => Promise<Record<string, any>>
  letters: (person: Pick<Person, 'email'>) => Promise<Array<{ subject: string, text: string }>>
  /** A code that the app has not shown yet: time passes until it shows one. */
  nextCode: (secret: string) => Promise<string>
}

/** What an app shows, some steps from now. */
export async function codeOf (secret: string, steps = 0): Promise<string> {
  return await generate({ secret, epoch: Math.floor(Date.now() / 1000) + 30 * steps })
}

/** A code that is right at no step near this one. */
export async function wrongCodeOf (secret: string): Promise<string> {
  const right = new Set(await Promise.all([-2, -1, 0, 1, 2].map(async steps => await codeOf(secret, steps))))
  for (let number = 0; ; number++) {
    const code = String(number).padStart(6, '0')
    if (!right.has(code)) return code
  }
}

/** `pass`: lets time pass, so that an app's next code can be had at once. */
export function makeTwoStepClient (service: Api, pass: (ms: number) => void): TwoStepClient {
  const call: TwoStepClient['call'] = async ({ token }, method, path, verification, body) => await service.call(method, path, {
    token, ...(body === undefined ? {} : { body }), headers: verification === undefined ? {} : { 'verification-token': verification }
  })
  const open: TwoStepClient['open'] = async (person, purpose) => await call(person, 'POST', '/v1/verification/challenges', undefined, { purpose })
  const verify: TwoStepClient['verify'] = async (person, id, method, code) =>
    await call(person, 'POST', `/v1/verification/challenges/${id}/verify`, undefined, { method, code })
  const nextCode: TwoStepClient['nextCode'] = async secret => {
    pass(30_000)
    return await codeOf(secret)
  }

  const prove: TwoStepClient['prove'] = async (person, purpose, { method, code }) => {
    const { status, body } = await open(person, purpose)
    if (status !== 201) throw new Error(`no challenge was opened: ${JSON.stringify(body)}`)
    const id = body['id'] as string
    if (code !== undefined) return await verify(person, id, method, code)
    if (method === 'totp') return await verify(person, id, method, await nextCode(person.secret ?? ''))
    const sent = (body['methods'] as Array<{ sent?: boolean }>).some(offered => offered.sent === true)
    if (!sent) await call(person, 'POST', `/v1/verification/challenges/${id}/email`)
    return await verify(person, id, method, await service.mailedCode(person.email))
  }
  const pay: TwoStepClient['pay'] = async (person, purpose, proof) => {
    const { status, body } = await prove(person, purpose, proof)
    if (status !== 200) throw new Error(`the proof was not accepted: ${JSON.stringify(body)}`)
    return body['verification_token'] as string
  }
  const enrol: TwoStepClient['enrol'] = async person =>
    await call(person, 'POST', '/v1/me/two-step/totp', await pay(person, 'two_step.enroll', { method: 'email' }))
  const confirm: TwoStepClient['confirm'] = async (person, id, code) => await call(person, 'POST', `/v1/me/two-step/totp/${id}/confirm`, undefined, { code })

  return {
    open, verify, prove, pay, call, enrol, confirm, nextCode,
    async protect (name) {
      const person = await signIn(service, name)
      const { body: { enrollment_id: id, secret } } = await enrol(person)
      const { body } = await confirm(person, id, await codeOf(secret))
      return { ...person, secret, backupCodes: body['backup_codes'] as string[] }
    },
    status: async person => (await call(person, 'GET', '/v1/me/security')).body,
    letters: async ({ email }) => (await service.call<Array<{ subject: string, text: string }>>('GET', `/dev/inbox?to=${encodeURIComponent(email)}`)).body
  }
}
