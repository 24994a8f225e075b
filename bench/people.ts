/** The people of the benchmarks, as their browser, their mailbox and their authenticator app see the service. */
import { setTimeout as sleep } from 'node:timers/promises'
import { generate } from 'otplib'

export interface Person { email: string, token: string }

interface Answer { headers: Headers, body: any }

/** `refusal`: the status of the one refusal that is meant. */
interface CallOptions { token?: string, body?: unknown, headers?: Record<string, string>, refusal?: number }

/** One call, which must go as it is meant to. */
export async function call (url: string, method: string, path: string, { token, body, headers = {}, refusal }: CallOptions = {}): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await response.text()
  if (refusal === undefined ? !response.ok : response.status !== refusal) throw new Error(`${method} ${path} was answered ${String(response.status)}: ${text}`)
  return { headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

export async function signIn (url: string, name: string): Promise<Person> {
  const email = `${name}@example.com`
  const { body } = await call(url, 'POST', '/dev/token', { body: { sub: name, email, scope: 'telemetry:write settings' } })
  return { email, token: body.access_token }
}

export async function openChallenge (url: string, { token }: Person, purpose: string): Promise<string> {
  return (await call(url, 'POST', '/v1/verification/challenges', { token, body: { purpose } })).body.id
}

/** The verification token that a code earns. */
export async function verify (url: string, { token }: Person, challenge: string, method: 'email' | 'backup_code', code: string): Promise<string> {
  return (await call(url, 'POST', `/v1/verification/challenges/${challenge}/verify`, { token, body: { method, code } })).body.verification_token
}

/** Types a backup code with its last symbol wrong, which costs the service as much as the right one. */
export async function mistype (url: string, { token }: Person, challenge: string, code: string): Promise<void> {
  const wrong = code.slice(0, -1) + (code.endsWith('0') ? '1' : '0')
  await call(url, 'POST', `/v1/verification/challenges/${challenge}/verify`, { token, body: { method: 'backup_code', code: wrong }, refusal: 422 })
}

/** Waits for the one code that is mailed to a person. */
export async function mailedCode (url: string, { email }: Person): Promise<string> {
  while (true) {
    await sleep(20)
    const { body: letters } = await call(url, 'GET', `/dev/inbox?to=${email}`)
    for (const { text } of letters) {
      const code = /^[0-9]{6}$/m.exec(text)?.[0]
      if (code !== undefined) return code
    }
  }
}

async function proveByEmail (url: string, person: Person, purpose: string): Promise<Record<string, string>> {
  const challenge = await openChallenge(url, person, purpose)
  return { 'verification-token': await verify(url, person, challenge, 'email', await mailedCode(url, person)) }
}

/** The token of an account that has agreed to everything optional that the traffic holds. */
export async function agreeingToken (url: string): Promise<string> {
  const person = await signIn(url, 'bench')
  const { token } = person
  const paid = await proveByEmail(url, person, 'privacy.update')
  const { headers } = await call(url, 'GET', '/v1/me/privacy', { token })
  await call(url, 'PATCH', '/v1/me/privacy', {
    token, body: { account: { product_analytics: 'granted' } }, headers: { ...paid, 'if-match': headers.get('etag') ?? '' }
  })
  return token
}

/** The backup codes of a person who turns 2-step verification on. */
export async function turnOnTwoStep (url: string, person: Person): Promise<string[]> {
  const { token } = person
  const { body: enrolment } = await call(url, 'POST', '/v1/me/two-step/totp', { token, headers: await proveByEmail(url, person, 'two_step.enroll') })
  const code = await generate({ secret: enrolment.secret })
  return (await call(url, 'POST', `/v1/me/two-step/totp/${String(enrolment.enrollment_id)}/confirm`, { token, body: { code } })).body.backup_codes
}
