/** A service in a process of its own, with people, tokens and things in it that hostile requests can be about. */
import { generateKeyPairSync } from 'node:crypto'
import { signIn } from '../support/api.ts'
import { developmentKey, encodePart, makeToken, publicPem, rightClaims, type SigningKey } from '../support/tokens.ts'
import { makeTwoStepClient } from '../support/two-step.ts'
import { makeFolder, startProcess, type Owner, type ServiceProcess } from '../start/process.ts'
import type { CallerName, Case } from './cases.ts'
import { operationsOf, type ApiDocument, type Operation } from './openapi.ts'

/** A thing that is there. `owner`: the only caller it may be shown to. */
interface Thing { id: string, owner: CallerName | 'team' }

export interface World {
  service: ServiceProcess
  document: ApiDocument
  operations: Operation[]
  /** Scopes of a caller's token; undefined for tokens that are none. */
  scopesOf: (caller: CallerName) => readonly string[] | undefined
  /** The address and headers of a case now, and whether it asks for what is another's. */
  address: (asked: Case) => { target: string, headers: Record<string, string>, foreign: boolean }
  /** Takes note of the revision that an answer has shown to a caller. */
  noteEtag: (caller: CallerName, etag: string) => void
  /** Opens new challenges and gets new tokens, as those that were there are used up. */
  refresh: () => Promise<void>
}

const year = 31_536_000
const gated = ['privacy.update', 'two_step.enroll', 'data.export', 'data.erase']
const inAYear = (): number => Math.floor(Date.now() / 1000) + year

export async function makeWorld (owner: Owner): Promise<World> {
  const dataDir = await makeFolder(owner)
  const service = await startProcess(owner, { DATA_DIR: dataDir, RATE_LIMITS: 'off', LOG_LEVEL: 'info', UV_THREADPOOL_SIZE: '16', EMAIL_RESEND_SECONDS: '0', EMAIL_CODES_PER_HOUR: '0', EMAIL_CODES_PER_DAY: '0' })
  const { body: document } = await service.call<ApiDocument>('GET', '/openapi.json')
  const twoStep = makeTwoStepClient(service, () => {})

  const key = await developmentKey(dataDir)
  // Two tokens of one session: what hostile requests have mailed does not come between the codes that are waited for here.
  const tokenOf = (name: string, mailbox: string): string =>
    makeToken({ alg: 'EdDSA', kid: key.kid }, rightClaims({ sub: name, sid: name, scope: 'settings', device_id: `pc-${name}`, email: `${mailbox}@example.com`, exp: inAYear() }), key.privateKey)
  const people = Object.fromEntries(['ada', 'grace'].map(name => [name, { token: tokenOf(name, `${name}-apart`), email: `${name}-apart@example.com` }]))
  for (const { token, email } of Object.values(people)) await service.change(token, email, { account: { diagnostics: 'granted' } })
  const tom = await twoStep.protect('tom')
  const mia = await signIn(service, 'mia', 'product_analytics')
  const nico = await signIn(service, 'nico')
  const forged = forgeTokens(key)
  const scopes: Record<string, string> = {
    stranger: 'other', mia: 'telemetry:write', nico: 'telemetry:write', ada: 'settings', grace: 'settings', tom: 'telemetry:write settings', olga: 'settings', device: 'settings',
    reader: 'privacy:read', admin: 'privacy:admin', delegate: 'verification:delegate', security: 'security:admin'
  }
  const tokens: Record<string, string> = { ada: tokenOf('ada', 'ada'), grace: tokenOf('grace', 'grace'), tom: tom.token }
  for (const [name, scope] of Object.entries(scopes)) {
    const device = name === 'device' ? { device_id: 'pc-9' } : { sub: name, device_id: `pc-${name}`, email: `${name}@example.com` }
    tokens[name] ??= await service.token({ ...device, scope, expires_in: year, ...(name === 'olga' ? { account_kind: 'organization', org_id: 'acme' } : {}) })
  }
  for (const one of [mia, nico]) await service.post(one.token)

  const things: Record<string, Thing[]> = {}
  const payments: Record<string, Record<string, string>> = { ada: {}, grace: {} }
  const etags: Record<string, string> = {}
  const because = { 'purpose-of-use': 'request 4711' }
  const keep = (kind: string, found: Thing): void => { (things[kind] ??= []).unshift(found) }

  const refresh = async (): Promise<void> => {
    for (const [name, person] of Object.entries(people) as Array<[CallerName, { token: string, email: string }]>) {
      const own = payments[name]!
      own['spent'] = own['data.erase'] ?? ''
      for (const purpose of gated) own[purpose] = await service.verify(person.token, person.email, purpose, purpose.startsWith('data.') ? {} : undefined)
      for (let count = 0; count < 3; count++) {
        const opened = await service.call('POST', '/v1/verification/challenges', { token: tokens[name], body: { purpose: 'privacy.update' } })
        keep('challenge', { id: opened.body['id'] as string, owner: name })
      }
      etags[name] = (await service.call('GET', '/v1/me/privacy', { token: person.token })).headers.get('etag') ?? ''
    }
    const sign = await service.call('POST', '/v1/verification/challenges', { token: tokens['delegate'], body: { purpose: 'sign_in', account_id: 'ada', email: 'ada@example.com' } })
    keep('challenge', { id: sign.body['id'] as string, owner: 'delegate' })
    for (const list of Object.values(things)) list.splice(24)
  }

  for (const [name, person] of Object.entries(people) as Array<[CallerName, { token: string, email: string }]>) {
    const pay = async (purpose: string, method: string, path: string, change?: unknown) =>
      await service.call(method, path, { token: person.token, headers: { 'verification-token': await service.verify(person.token, person.email, purpose, change) } })
    keep('enrollment', { id: (await pay('two_step.enroll', 'POST', '/v1/me/two-step/totp')).body['enrollment_id'] as string, owner: name })
    keep('export', { id: (await pay('data.export', 'POST', '/v1/me/export', {})).body['id'] as string, owner: name })
    keep('erasure', { id: (await pay('data.erase', 'POST', '/v1/me/erasure', {})).body['id'] as string, owner: name })
    const history = await service.call('GET', '/v1/me/privacy/history', { token: person.token })
    for (const { entry_id: id } of history.body['entries'] as Array<{ entry_id: string }>) keep('entry', { id, owner: name })
  }
  for (const format of ['ndjson', 'csv', 'parquet']) {
    const started = await service.call('POST', '/v1/privacy/exports', { token: tokens['reader'], headers: because, body: { format } })
    keep('team-export', { id: started.body['id'] as string, owner: 'team' })
  }
  await refresh()

  const thingOf = (asked: Case): Thing | undefined => {
    const kind = kindOf(asked.operation.path)
    const there = kind === undefined ? [] : things[kind] ?? []
    const own = there.filter(({ owner }) => owner === asked.caller)
    const found = asked.known % 3 === 0 || own.length === 0 ? there : own
    return found[asked.known % found.length]
  }

  return {
    service,
    document,
    operations: operationsOf(document),
    scopesOf: caller => scopes[caller]?.split(' '),
    refresh,
    noteEtag (caller, etag) { etags[caller] = etag },
    address (asked) {
      const { operation, segments, caller, query, known } = asked
      const thing = thingOf(asked)
      let foreign = false
      const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
        const segment = segments[name]
        if (segment !== undefined) return segment
        foreign = thing !== undefined && !operation.path.startsWith('/v1/privacy/') && thing.owner !== caller
        return thing?.id ?? 'none'
      })
      const token = caller === 'forger' ? forged[known % forged.length] : tokens[caller]
      const own = payments[caller] ?? payments['ada']!
      const others = payments[caller === 'grace' ? 'ada' : 'grace']!
      const purpose = purposeOf(operation) ?? gated[known % gated.length]!
      const stand: Record<string, string | undefined> = { CURRENT: etags[caller], OWN: own[purpose], SPENT: own['spent'], FOREIGN: others[purpose] }
      const headers = Object.fromEntries(Object.entries({ ...asked.headers, ...asked.body?.headers }).flatMap(([name, value]) => {
        const now = value in stand ? stand[value] : value
        return now === undefined ? [] : [[name, now]]
      }))
      return { target: query === '' ? path : `${path}?${query}`, headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers }, foreign }
    }
  }
}

function purposeOf ({ name }: Operation): string | undefined {
  if (name === 'PATCH /v1/me/privacy') return 'privacy.update'
  if (name === 'POST /v1/me/two-step/totp') return 'two_step.enroll'
  return { 'POST /v1/me/export': 'data.export', 'POST /v1/me/erasure': 'data.erase' }[name]
}

function kindOf (path: string): string | undefined {
  if (path.includes('/challenges/')) return 'challenge'
  if (path.includes('/totp/')) return 'enrollment'
  if (path.includes('{entry_id}')) return 'entry'
  if (path.includes('/privacy/exports/')) return 'team-export'
  return /\/(export|erasure)s?\//.exec(path)?.[1]
}

/** Tokens that look like the development issuer's. */
function forgeTokens (key: SigningKey): string[] {
  const stranger = generateKeyPairSync('ed25519').privateKey
  const scope = 'telemetry:write settings privacy:read privacy:admin verification:delegate security:admin'
  const header = { alg: 'EdDSA', typ: 'JWT', kid: key.kid }
  const claims = (more: Record<string, unknown> = {}): Record<string, unknown> => rightClaims({ scope, exp: inAYear(), ...more })
  const right = makeToken(header, claims(), key.privateKey)
  return [
    'x', 'a.b.c', '..', right.slice(0, -4), `${right}.x`, `${right.split('.', 2).join('.')}.`,
    `${encodePart({ alg: 'none' })}.${encodePart(claims())}.`,
    makeToken({ ...header, alg: 'none' }, claims(), key.privateKey),
    makeToken({ ...header, alg: 'HS256' }, claims(), publicPem(key)),
    makeToken(header, claims(), stranger),
    makeToken({ ...header, kid: '../../../etc/passwd' }, claims(), key.privateKey),
    makeToken({ ...header, jku: 'http://169.254.169.254/keys' }, claims(), stranger),
    makeToken({ ...header, crit: ['exp'] }, claims(), key.privateKey),
    ...[{ exp: 1 }, { exp: null }, { nbf: 4e9 }, { iat: 4e9 }, { aud: 'other' }, { iss: 'https://elsewhere.example' }, { sub: '' }, { sub: 'a\nb' }, { scope: ['settings'] }, { sub: 'device:pc-1' }, { device_id: '__proto__' }, { device_id: '../x' }]
      .map(wrong => makeToken(header, claims(wrong), key.privateKey)),
    makeToken(header, claims({ filler: 'x'.repeat(8192) }), key.privateKey)
  ]
}
