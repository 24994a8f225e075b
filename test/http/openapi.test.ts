import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t, { type Test } from 'tap'
import { makeBatch, makeEvent, heartbeat, type Answer, type RequestOptions } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

interface Operation { summary?: string, security?: Array<Record<string, string[]>>, responses: Record<string, { content?: Record<string, { schema: object }> }> }

const service = await startTestService(t)
const { body: document } = await service.call('GET', '/openapi.json')
const operations = new Map(Object.entries(document['paths'] as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation])))

t.test('every route of the sources is in the document, and nothing else', async t => {
  const source = globSync('src/http/**/*.ts', { cwd: join(import.meta.dirname, '../..') }).map(file => readFileSync(join(import.meta.dirname, '../..', file), 'utf8')).join('\n')
  const routes = [...source.matchAll(/\.(get|post|put|patch|delete)(?:<[^>\n]*>)?\('(\/[^']*)'/g)]
    .map(([, method, url]) => `${method!.toUpperCase()} ${url!.replace(/:(\w+)/g, '{$1}')}`)
  t.ok(routes.length > 20, 'the sources were read')
  t.strictSame([...operations.keys()].sort(), [...new Set(routes)].sort())
  t.equal(document['openapi'], '3.1.0')
})

t.test('what the document says about access is what is enforced', async t => {
  const needed: Record<string, string[]> = { nothing: [] }
  for (const [route, { security }] of operations) {
    const [method, path] = route.split(' ') as [string, string]
    const address = path.replace(/\{\w+\}/g, 'x')
    const stranger = await fetch(service.service.url + address, { method })
    await stranger.text()
    const { status, headers } = stranger
    t.equal(status === 401, security !== undefined, `${route} answers a stranger with ${String(status)}`)
    if (security === undefined) needed['nothing']!.push(route)
    if (security === undefined) continue
    t.match(headers.get('www-authenticate'), /^Bearer/, route)
    const scopes = security.map(one => one['accessToken']?.[0] ?? 'none')
    for (const scope of scopes) needed[scope] = [...needed[scope] ?? [], route]
    const other = await service.token({ sub: 'ada', scope: 'other' })
    const refused = await service.call(method, address, { token: other })
    t.equal(refused.headers.get('www-authenticate'), `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`, route)
  }
  t.strictSame(needed['nothing']!.filter(route => !route.includes(' /dev/')).sort(), [
    'GET /.well-known/jwks.json', 'GET /health/live', 'GET /health/ready', 'GET /metrics', 'GET /openapi.json', 'GET /problems/{slug}', 'GET /v1/catalog'
  ])
  t.strictSame(needed['telemetry:write'], ['POST /v1/events', 'GET /v1/consent'])
  const ofTeam = [...operations.keys()].filter(route => route.includes(' /v1/privacy/')).sort()
  t.strictSame([...needed['privacy:admin']!].sort(), ofTeam, 'everything of the privacy team is its own')
  t.strictSame(ofTeam.filter(route => !needed['privacy:read']!.includes(route)), ['GET /v1/privacy/accounts/{account_id}/security-events', 'POST /v1/privacy/erasures', 'PUT /v1/privacy/organizations/{org_id}/policy'])
  t.ok(needed['settings']!.length >= 10)
})

t.test('every operation has a summary, a schema for its JSON, and the form of its errors', async t => {
  const withoutJson = ['GET /v1/me/export/{id}/data', 'GET /v1/privacy/exports/{id}/data', 'GET /metrics', 'GET /problems/{slug}', 'POST /dev/sql']
  for (const [route, { summary, responses }] of operations) {
    t.match(summary, /\w/, route)
    t.ok(responses['default']?.content?.['application/problem+json'], `${route} describes its errors`)
    t.ok(responses['400']?.content?.['application/problem+json'], `${route} says how it refuses what has the wrong shape`)
    for (const [status, { content }] of Object.entries(responses)) {
      if (status === 'default' || status === '204' || status === '304') continue
      if (content?.['application/problem+json'] !== undefined) continue
      t.equal(content?.['application/json'] !== undefined, !withoutJson.includes(route), `${route} ${status}`)
    }
  }
})

const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema({ $id: 'service', components: document['components'] })
const inDocument = (schema: object): object => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"service#/')) as object

/** Calls a route and holds what it answers against what the document says of that answer. */
async function callAsDocumented (t: Test, route: string, status: number, options: RequestOptions = {}, address?: string): Promise<Answer> {
  const [method, path] = route.split(' ') as [string, string]
  const answer = await service.call(method, address ?? path, options)
  t.equal(answer.status, status, `${route} answers ${String(status)}`)
  const { responses } = operations.get(route)!
  const described = responses[String(status)]?.content
  const schema = described?.[status < 400 ? 'application/json' : 'application/problem+json']?.schema
  if (schema === undefined) t.strictSame(answer.body, {}, `${route} answers nothing`)
  else t.ok(ajv.validate(inDocument(schema), answer.body), `${route}: ${ajv.errorsText()}`)
  return answer
}

t.test('the main routes answer what the document says', async t => {
  const email = 'ada@example.com'
  const token = await service.token({ sub: 'ada', email, device_id: 'pc-1' })
  for (const open of ['/health/live', '/health/ready', '/v1/catalog', '/.well-known/jwks.json', '/openapi.json']) await callAsDocumented(t, `GET ${open}`, 200)
  await callAsDocumented(t, 'POST /dev/token', 200, { body: { scope: 'settings' } })
  await callAsDocumented(t, 'POST /dev/token', 400, { body: { scope: 7 } })

  const consent = '/v1/consent?product=cad&release=2026'
  const { headers } = await callAsDocumented(t, 'GET /v1/consent', 200, { token }, consent)
  await callAsDocumented(t, 'GET /v1/consent', 304, { token, headers: { 'if-none-match': headers.get('etag')! } }, consent)

  const challenge = { token, body: { purpose: 'privacy.update' } }
  const { body: given } = await callAsDocumented(t, 'POST /v1/verification/challenges', 201, challenge)
  await callAsDocumented(t, 'DELETE /v1/verification/challenges/{id}', 204, { token }, `/v1/verification/challenges/${given['id'] as string}`)
  await service.mailedCode(email)
  const { body: { id } } = await callAsDocumented(t, 'POST /v1/verification/challenges', 201, challenge)
  const address = `/v1/verification/challenges/${id as string}`
  await callAsDocumented(t, 'GET /v1/verification/challenges/{id}', 200, { token }, address)
  await service.mailedCode(email)
  await callAsDocumented(t, 'POST /v1/verification/challenges/{id}/email', 202, { token }, `${address}/email`)
  const verified = await callAsDocumented(t, 'POST /v1/verification/challenges/{id}/verify', 200, { token, body: { method: 'email', code: await service.mailedCode(email) } }, `${address}/verify`)
  await callAsDocumented(t, 'POST /v1/verification/challenges/{id}/verify', 409, { token, body: { method: 'email', code: '000000' } }, `${address}/verify`)
  await callAsDocumented(t, 'GET /dev/inbox', 200, {}, `/dev/inbox?to=${email}`)

  const settings = await callAsDocumented(t, 'GET /v1/me/privacy', 200, { token })
  const change = { token, body: { account: { product_analytics: 'granted' } }, headers: { 'if-match': settings.headers.get('etag')!, 'verification-token': verified.body['verification_token'] as string } }
  await callAsDocumented(t, 'PATCH /v1/me/privacy', 200, change)
  await callAsDocumented(t, 'PATCH /v1/me/privacy', 412, change)
  const body = makeBatch({ events: [makeEvent(), makeEvent(heartbeat), null, makeEvent({ name: 'crash.reported', properties: {} })] })
  await callAsDocumented(t, 'POST /v1/events', 202, { token, body })
  await callAsDocumented(t, 'POST /v1/events', 400, { token, body: {} })
  await callAsDocumented(t, 'GET /v1/me/privacy', 200, { token })
  await callAsDocumented(t, 'POST /v1/me/privacy/stop', 200, { token })
  await callAsDocumented(t, 'GET /v1/me/privacy/history', 200, { token }, '/v1/me/privacy/history?limit=1')
  const device = { token: await service.token({ device_id: 'pc-2' }), body: { diagnostics: 'granted' } }
  await callAsDocumented(t, 'PUT /v1/devices/{device_id}/privacy', 200, device, '/v1/devices/pc-2/privacy')
  const admin = { token: await service.token({ sub: 'root', scope: 'privacy:admin' }), body: { diagnostics: 'off' }, headers: { 'purpose-of-use': 'contract 7' } }
  await callAsDocumented(t, 'PUT /v1/privacy/organizations/{org_id}/policy', 200, admin, '/v1/privacy/organizations/acme/policy')
})

t.test('/docs shows the document in a browser', async t => {
  const page = await fetch(`${service.service.url}/docs`)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), /^text\/html/)
  const html = await page.text()
  const script = /src="([^"]*swagger-ui-bundle[^"]*)"/.exec(html)?.[1] ?? 'none'
  t.match(await (await fetch(new URL(script, `${service.service.url}/docs/`))).text(), /SwaggerUIBundle/, 'its script is there')
  t.match((await service.call('GET', '/docs/json')).body, { openapi: '3.1.0' })
})
