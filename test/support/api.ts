/** Speaks to a running service as its clients do: over HTTP, and nothing else. */
import { randomUUID } from 'node:crypto'

export interface Answer<Body = Record<string, any>> { status: number, body: Body, headers: Headers }

export interface TokenRequest {
  sub?: string
  email?: string
  scope?: string
  device_id?: string
  org_id?: string
  account_kind?: 'personal' | 'organization'
  region?: string
  locale?: string
  auth_time?: number
  expires_in?: number
}

export interface RequestOptions { token?: string | undefined, body?: unknown, headers?: Record<string, string> }

export interface EventFields { id?: string, name?: string, version?: number, occurred_at?: string, properties?: Record<string, unknown> }
export interface BatchFields {
  batch_id?: string
  sent_at?: string
  device_id?: string
  product?: { name: string, release: number, version?: string }
  events?: unknown[]
}

export interface Api {
  call: <Body = Record<string, any>>(method: string, path: string, options?: RequestOptions) => Promise<Answer<Body>>
  token: (request: TokenRequest) => Promise<string>
  post: (token: string, batch?: BatchFields) => Promise<Answer>
  sql: <Row = Record<string, any>>(query: string) => Promise<Row[]>
  /** The newest code that was mailed to an address. */
  mailedCode: (address: string) => Promise<string>
  /** A verification token for a purpose, by e-mailed code. */
  verify: (token: string, email: string, purpose: string, change?: unknown) => Promise<string>
  /** Changes a person's settings the whole way: settings read, code mailed, verified, changed. */
  change: (token: string, email: string, patch: Record<string, unknown>) => Promise<Answer>
}

const allScopes = 'telemetry:write settings'

/** An optional event (`product_analytics`) unless told otherwise. */
export function makeEvent (fields: EventFields = {}): Record<string, unknown> {
  return {
    id: randomUUID(), name: 'command.run', version: 1, occurred_at: new Date().toISOString(), properties: { command: 'LINE' }, ...fields
  }
}

export function makeBatch (fields: BatchFields = {}): Record<string, unknown> {
  return {
    batch_id: randomUUID(), sent_at: new Date().toISOString(), product: { name: 'cad', release: 2026, version: '26.1.0' }, events: [makeEvent()], ...fields
  }
}

export const heartbeat: EventFields = { name: 'license.heartbeat', properties: { license_id: 'LIC-7Q4M-20XZ', seats_in_use: 1 } }

/** What an answer says of each event of its batch, in their order: `accepted`, or why it was not. */
export function fates ({ body }: Answer, events: ReadonlyArray<Record<string, unknown>>): string[] {
  return events.map(({ id }) => {
    const told = body['results'].find((result: { id: string }) => result.id === id)
    return told === undefined || told.outcome === 'accepted' ? 'accepted' : told.reason as string
  })
}

export interface Person {
  token: string
  email: string
  deviceId: string
  /** Makes account-wide choices the whole way. */
  choose: (account: Record<string, string>) => Promise<Answer>
}

/** A signed-in person on a device of their own, who has said yes to some purposes. */
export async function signIn (api: Api, name: string, ...granted: string[]): Promise<Person> {
  const email = `${name}@example.com`
  const deviceId = `pc-${name}`
  const token = await api.token({ sub: name, email, device_id: deviceId, expires_in: 31_536_000 })
  const choose: Person['choose'] = async account => {
    const answer = await api.change(token, email, { account })
    if (answer.status !== 200) throw new Error(`the choice was refused: ${JSON.stringify(answer.body)}`)
    return answer
  }
  if (granted.length > 0) await choose(Object.fromEntries(granted.map(purpose => [purpose, 'granted'])))
  return { token, email, deviceId, choose }
}

export function makeApi (url: () => string): Api {
  const call: Api['call'] = async (method, path, { token, body, headers = {} } = {}) => {
    const response = await fetch(url() + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as never, headers: response.headers }
  }

  const mailedCode = async (address: string): Promise<string> => {
    for (let attempt = 0; attempt < 100; attempt++) {
      const { body } = await call<Array<{ text: string }>>('GET', `/dev/inbox?to=${encodeURIComponent(address)}`)
      const code = body.map(letter => /^[0-9]{6,10}$/m.exec(letter.text)?.[0]).findLast(found => found !== undefined)
      if (code !== undefined && !used.has(`${address} ${code}`)) {
        used.add(`${address} ${code}`)
        return code
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error('no new code was mailed')
  }
  const used = new Set<string>()

  const verify: Api['verify'] = async (token, email, purpose, change) => {
    const challenge = await call('POST', '/v1/verification/challenges', { token, body: { purpose, ...(change === undefined ? {} : { change }) } })
    if (challenge.status !== 201) throw new Error(`no challenge was opened: ${JSON.stringify(challenge.body)}`)
    const verified = await call('POST', `/v1/verification/challenges/${String(challenge.body['id'])}/verify`, {
      token, body: { method: 'email', code: await mailedCode(email) }
    })
    if (verified.status !== 200) throw new Error(`the code was not accepted: ${JSON.stringify(verified.body)}`)
    return verified.body['verification_token'] as string
  }

  return {
    call,
    mailedCode,
    verify,
    async token (request) {
      const { body } = await call('POST', '/dev/token', { body: { scope: allScopes, ...request } })
      return body['access_token'] as string
    },
    post: async (token, batch = {}) => await call('POST', '/v1/events', { token, body: makeBatch(batch) }),
    async sql (query) {
      const response = await fetch(`${url()}/dev/sql`, { method: 'POST', body: query })
      const text = await response.text()
      if (response.status !== 200) throw new Error(`the SQL was refused: ${text}`)
      return text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as never)
    },
    async change (token, email, patch) {
      const settings = await call('GET', '/v1/me/privacy', { token })
      return await call('PATCH', '/v1/me/privacy', {
        token,
        body: patch,
        headers: { 'if-match': settings.headers.get('etag') ?? '', 'verification-token': await verify(token, email, 'privacy.update') }
      })
    }
  }
}
