import t from 'tap'
import { problems } from '../../src/http/problem.ts'
import { isProblem } from '../support/problems.ts'
import { head, openRaw, readAnswers, sendRaw } from '../support/raw-http.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)
const token = await service.token({ sub: 'ada', device_id: 'pc-1' })
const send = async (text: string) => await sendRaw(service.service.url, text)
const post = (...lines: string[]): string =>
  head('POST /v1/events HTTP/1.1', 'Host: here', `Authorization: Bearer ${token}`, 'Content-Type: application/json', ...lines)
const get = (target: string, ...lines: string[]): string => head(`GET ${target} HTTP/1.1`, 'Host: here', ...lines, 'Connection: close')
const smuggled = get('/health/live')

t.test('a request that two readers could cut in two ways is refused, and nothing after it is read', async t => {
  const cases: Record<string, string> = {
    'a length and chunks': post('Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    'two lengths': post('Content-Length: 2', 'Content-Length: 3') + '{}',
    'the same length twice': post('Content-Length: 2', 'Content-Length: 2') + '{}',
    'a list of lengths': post('Content-Length: 2, 2') + '{}',
    'a coding that does not exist': post('Transfer-Encoding: xchunked') + '0\r\n\r\n',
    'chunked that is not the last coding': post('Transfer-Encoding: chunked, identity') + '0\r\n\r\n',
    'a negative length': post('Content-Length: -1') + '{}',
    'a length with a sign': post('Content-Length: +2') + '{}',
    'a length in hexadecimal': post('Content-Length: 0x2') + '{}',
    'a length beyond all bounds': post('Content-Length: 99999999999999999999') + '{}',
    'a chunk of no length': post('Transfer-Encoding: chunked') + 'zz\r\n{}\r\n0\r\n\r\n',
    'a chunk with 20 kB beside it': `${post('Transfer-Encoding: chunked')}2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
    'a space before a colon': get('/health/live', 'X-A : b'),
    'a folded header': get('/health/live', 'X-A: b', ' c'),
    'lines ended by a line feed alone': 'GET /health/live HTTP/1.1\nHost: here\n\n',
    'a NUL in a header': get('/health/live', 'X-A: b\0c'),
    'an unknown method': head('FOO /health/live HTTP/1.1', 'Host: here'),
    'another protocol': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'another version of HTTP': head('GET /health/live HTTP/9.9', 'Host: here')
  }
  for (const [about, text] of Object.entries(cases)) {
    const [answer, ...more] = await send(text + smuggled)
    isProblem(t, answer!, 400, 'invalid-request', '', about)
    t.equal(answer!.headers.get('connection'), 'close', about)
    t.same(more, [], `${about}: nothing more is answered`)
  }
})

t.test('a request that breaks after it was answered is not answered again', async t => {
  const stranger = head('POST /v1/events HTTP/1.1', 'Host: here', 'Content-Type: application/json', 'Transfer-Encoding: chunked')
  for (const rest of ['5\r\n{"a"}zz\r\n0\r\n\r\n', '3\r\n{"a":1}\r\n0\r\n\r\n', '']) {
    const { socket, ended } = openRaw(service.service.url, stranger + rest)
    if (rest === '') socket.end()
    const [answer, ...more] = readAnswers(await ended)
    isProblem(t, answer!, 401, 'invalid-token', '/v1/events', rest)
    t.same(more, [], 'whoever shares the connection would take it for another answer')
  }
})

t.test('a request names one host', async t => {
  for (const hosts of [[], ['Host: a', 'Host: b'], ['Host: a', 'Host: a']]) {
    const [answer, ...more] = await send(head('GET /health/live HTTP/1.1', ...hosts) + smuggled)
    isProblem(t, answer!, 400, 'invalid-request', '/health/live', `${String(hosts.length)} hosts`)
    t.same(more, [])
  }
  t.match(await send(head('GET /health/live HTTP/1.0')), [{ status: 200 }], 'HTTP/1.0 had none')
})

t.test('an address reaches what it spells and nothing else', async t => {
  for (const target of ['//health/live', '/x/../health/live', '/x/%2e%2e/health/live', '/health/live/', '/HEALTH/live', '/%zz', '/problems/%zz', '/problems/%00', '/problems/..%2f..', '/nope']) {
    const [answer] = await send(get(target))
    isProblem(t, answer!, 404, 'not-found', target, target)
  }
  for (const target of ['/docs/static/../../package.json', '/docs/static/%2e%2e/%2e%2e/package.json']) t.match(await send(get(target)), [{ status: 400 }], target)
  t.match(await send(get('http://elsewhere/health/live')), [{ status: 200, body: { live: true } }])
  t.match(await send(head('OPTIONS * HTTP/1.1', 'Host: here', 'Connection: close')), [{ status: 404 }])
})

t.test('what is too long is refused', async t => {
  const cases: Array<[string, number, string, string]> = [
    [get('/health/live', `X-A: ${'a'.repeat(20_000)}`), 431, 'headers-too-large', ''],
    [get('/health/live', ...Array.from({ length: 2000 }, (_, i) => `X-${String(i)}: abcd`)), 431, 'headers-too-large', ''],
    [get(`/${'a'.repeat(20_000)}`), 431, 'headers-too-large', ''],
    [get(`/problems/${'a'.repeat(600)}`), 414, 'uri-too-long', `/problems/${'a'.repeat(600)}`]
  ]
  for (const [text, status, slug, instance] of cases) isProblem(t, (await send(text))[0]!, status, slug, instance, text.slice(0, 40))
})

t.test('a documented path answers every other method with 405 and what it takes', async t => {
  const { body } = await service.call('GET', '/openapi.json')
  const paths = Object.entries(body['paths'] as Record<string, Record<string, unknown>>)
  t.ok(paths.length > 15)
  for (const [path, operations] of paths) {
    const taken = Object.keys(operations).map(method => method.toUpperCase())
    if (taken.includes('GET')) taken.push('HEAD')
    const address = path.replace(/\{\w+\}/g, 'x')
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY'].filter(method => !taken.includes(method))) {
      const text = head(`${method} ${address} HTTP/1.1`, 'Host: here', 'Content-Length: 0', 'Connection: close')
      const [answer] = method === 'HEAD' ? await send(text).catch(() => []) : await send(text)
      if (method !== 'HEAD') isProblem(t, answer!, 405, 'method-not-allowed', address, `${method} ${path}`)
      t.equal(answer?.headers.get('allow'), taken.sort().join(', '), `${method} ${path}`)
    }
  }
  t.same(await send(head('CONNECT elsewhere:443 HTTP/1.1', 'Host: here')), [], 'CONNECT is closed')
})

t.test('Expect is met or refused', async t => {
  const [refused] = await send(get('/health/live', 'Expect: bogus'))
  isProblem(t, refused!, 417, 'expectation-failed', '/health/live')
  t.match(await send(post('Expect: 100-continue', 'Content-Length: 2', 'Connection: close') + '{}'), [{ status: 100 }, { status: 400 }])
})

t.test('whoever is slow is closed with 408, and holds nobody else up', async t => {
  const slow = [
    { about: 'headers', text: 'GET /health/live HTTP/1.1\r\nHost: here\r\nX-Slow: ' },
    { about: 'body', text: post('Content-Length: 1000') }
  ].map(({ about, text }) => {
    const { socket, ended } = openRaw(service.service.url, text)
    const drip = setInterval(() => { socket.write('a') }, 500)
    return { about, ended: ended.finally(() => { clearInterval(drip) }) }
  })
  t.equal((await service.call('GET', '/health/live')).status, 200)
  for (const { about, ended } of slow) isProblem(t, readAnswers(await ended)[0]!, 408, 'request-timeout', '', about)
})

t.test('every answer says that it is for no cache and no guess; every problem has a page', async t => {
  for (const [text, status] of [[get('/health/live'), 200], [get('/nope'), 404], [get('/%zz'), 404], ['no HTTP\r\n\r\n', 400]] as const) {
    const [answer] = await send(text)
    t.match(answer, { status })
    t.match(Object.fromEntries(answer!.headers), { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    t.equal(answer!.headers.get('x-powered-by') ?? answer!.headers.get('server'), null)
  }
  for (const [slug, { status }] of Object.entries(problems)) {
    const [page] = await send(get(`/problems/${slug}`))
    t.match(page, { status: 200, text: new RegExp(`<h1>.+${slug}, HTTP status ${String(status)}`, 's') }, slug)
    t.match(page!.headers.get('content-type'), 'text/html; charset=utf-8')
  }
})

t.test('of one connection so many requests wait for their answers, and more are refused', async t => {
  const ahead = 'GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n'
  const [first, ...answers] = await send(ahead.repeat(100))
  t.equal(first?.status, 200)
  t.same(first?.body, (await service.call('GET', '/docs/json')).body, 'the document is one')
  const refused = answers.at(-1)!
  isProblem(t, refused, 429, 'rate-limited', '/openapi.json')
  t.equal(refused.headers.get('connection'), 'close')
  t.equal(answers.filter(({ status }) => status === 429).length, 1, 'after the refusal nothing is answered')
})
