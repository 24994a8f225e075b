import { subscribe } from 'node:diagnostics_channel'
import { fastify, type FastifyInstance, type RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { registerAuth } from '../../src/http/auth.ts'
import { startTestService } from '../support/service.ts'
import { addressOf, rules, scopes, type Rule, type Verdict } from './routes.ts'

/** Every route that the running service has, as it was registered. */
const registered: RouteOptions[] = []
subscribe('fastify.initialization', message => {
  (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', route => { registered.push(route) })
})
const service = await startTestService(t)

const isRefusal = ({ url, schema }: RouteOptions): boolean => (schema as { hide?: boolean } | undefined)?.hide === true && !url.startsWith('/docs')
const namesOf = ({ method, url }: RouteOptions): string[] => [method].flat().map(one => `${one} ${url}`)

t.test('every route of the running service is in the table of who may call it, and no other', async t => {
  const found = registered.filter(route => !isRefusal(route)).flatMap(namesOf)
  t.ok(found.length > 60, 'the routes were found')
  const [heads, others] = [found.filter(name => name.startsWith('HEAD ')), found.filter(name => !name.startsWith('HEAD '))]
  t.strictSame([...new Set(others)].sort(), Object.keys(rules).sort())
  // The browser of the documentation has its front page twice, and only one of the two is told of as GET.
  for (const head of heads.filter(name => name !== 'HEAD /docs')) t.ok(Object.hasOwn(rules, head.replace('HEAD', 'GET')), head)
})

t.test('what each route states is what the table says, for HEAD as for GET', async t => {
  for (const route of registered.filter(route => !isRefusal(route) && !route.url.startsWith('/docs'))) {
    for (const name of namesOf(route)) {
      t.strictSame([route.config?.scope ?? []].flat().sort(), [...rules[name.replace(/^HEAD/, 'GET')]?.scopes ?? []].sort(), name)
      t.equal(route.config?.public, rules[name.replace(/^HEAD/, 'GET')]?.scopes.length === 0 ? true : undefined, name)
    }
  }
})

/** Lets in what is answered with anything but 401 and 403. */
async function ask (name: string, token: string | undefined): Promise<Verdict> {
  const [method = '', url = ''] = name.split(' ')
  const { body } = rules[name] as Rule
  const response = await fetch(service.service.url + addressOf(url), {
    method,
    redirect: 'manual',
    headers: {
      'purpose-of-use': 'a test',
      'if-match': '"0"',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await response.text()
  if (response.status !== 401 && response.status !== 403) return 'in'
  return (JSON.parse(text) as { type: string }).type.replace('/problems/', '') as Verdict
}

async function isTold (t: Test, who: string, token: string | undefined, verdictOf: (rule: Rule) => Verdict): Promise<void> {
  for (const [name, rule] of Object.entries(rules)) t.equal(await ask(name, token), rule.scopes.length === 0 ? 'in' : verdictOf(rule), `${who}: ${name}`)
}

t.test('nobody, and who has a token of another service, is let in where everybody is', async t => {
  await isTold(t, 'no token', undefined, () => 'invalid-token')
  await isTold(t, 'a token that is none', 'e30.e30.e30', () => 'invalid-token')
})

t.test('a person is let in by the scopes of a route and by no other', async t => {
  for (const scope of scopes) {
    const token = await service.token({ sub: `person-${scope.replace(':', '-')}`, scope })
    const settles = (rule: Rule): Verdict => scope === 'verification:delegate' && rule.body !== undefined ? 'insufficient-scope' : rule.person ?? 'in'
    await isTold(t, scope, token, rule => rule.scopes.includes(scope) ? settles(rule) : 'insufficient-scope')
  }
  await isTold(t, 'no scope', await service.token({ sub: 'person', scope: '' }), () => 'insufficient-scope')
  await isTold(t, 'scopes that do not exist', await service.token({ sub: 'person', scope: 'admin * privacy settings:read PRIVACY:READ' }), () => 'insufficient-scope')
})

t.test('a device that nobody is signed in on has no account, whatever its scopes', async t => {
  const token = await service.token({ device_id: 'pc-1', scope: scopes.join(' ') })
  await isTold(t, 'a device', token, ({ device = 'in' }) => device)
})

t.test('an organisation keeps the factors of its people to itself', async t => {
  const token = await service.token({ sub: 'olga', org_id: 'acme', account_kind: 'organization', scope: scopes.join(' ') })
  await isTold(t, 'an organisation\'s', token, ({ organization = 'in' }) => organization)
})

t.test('a method that a route does not take is refused, whoever asks', async t => {
  const refusals = registered.filter(isRefusal)
  t.ok(refusals.length > 40)
  for (const { method, url } of refusals) {
    const one = [method].flat().find(name => ['DELETE', 'PUT', 'PATCH', 'POST'].includes(name)) ?? 'GET'
    t.equal((await service.call(one, addressOf(url))).status, 405, `${one} ${url}`)
  }
})

t.test('a route that states neither a scope nor that it is public stops the start', async t => {
  const app = fastify()
  await registerAuth(app, [], Date.now)
  const handler = async (): Promise<void> => {}
  t.throws(() => app.get('/forgotten', handler), { message: /GET \/forgotten must state a scope or that it is public/ })
  t.throws(() => app.get('/both', { config: { scope: 'settings', public: true } }, handler), { message: /must state/ })
  t.doesNotThrow(() => { app.get('/open', { config: { public: true } }, handler).get('/closed', { config: { scope: 'settings' } }, handler) })
})
