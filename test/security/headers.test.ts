import t from 'tap'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)
const ada = await service.token({ sub: 'ada', device_id: 'pc-1' })
const get = async (path: string, headers: Record<string, string> = {}): Promise<Response> => await fetch(service.service.url + path, { headers })

t.test('no answer is kept by a cache, taken for another type, or says what serves it', async t => {
  const answers = [await get('/v1/me/privacy', { authorization: `Bearer ${ada}` }), await get('/v1/me/privacy'), await get('/nope'), await get('/v1/catalog'), await get('/problems/not-found')]
  for (const answer of answers) {
    t.match(Object.fromEntries(answer.headers), { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }, answer.url)
    for (const name of ['server', 'x-powered-by', 'set-cookie']) t.equal(answer.headers.get(name), null, `${answer.url} ${name}`)
  }
})

t.test('no page of another origin may read an answer', async t => {
  const asked = { origin: 'https://elsewhere.example', 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization' }
  const preflight = await fetch(`${service.service.url}/v1/me/privacy`, { method: 'OPTIONS', headers: asked })
  t.equal(preflight.status, 405)
  for (const answer of [preflight, await get('/v1/me/privacy', { ...asked, authorization: `Bearer ${ada}` }), await get('/openapi.json', asked), await get('/docs/json', asked)]) {
    t.strictSame([...answer.headers.keys()].filter(name => name.startsWith('access-control-')), [], answer.url)
  }
})

t.test('pages run only scripts of their own, and in no frame', async t => {
  for (const path of ['/docs/', '/docs/static/index.html', '/problems/not-found']) {
    const page = await get(path)
    t.match(page.headers.get('content-type'), /^text\/html/, path)
    const policy = page.headers.get('content-security-policy') ?? ''
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) t.ok(policy.includes(part), `${path} ${part}`)
    t.notMatch(policy, /script-src[^;]*(?:unsafe|https?:|\*)/, path)
    t.equal(page.headers.get('referrer-policy'), 'no-referrer', path)
  }
  const scripts = [...(await (await get('/docs/')).text()).matchAll(/<script([^>]*)>([^<]*)/g)]
  t.ok(scripts.length > 0)
  for (const [, attributes, inline] of scripts) {
    t.match(attributes, /src="\.?\//, 'from here')
    t.equal(inline?.trim(), '')
  }
})
