import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { heartbeat, makeBatch, makeEvent } from '../support/api.ts'
import { eventually, startTestService, uuid } from '../support/service.ts'
import { makeFolder, startProcess } from '../start/process.ts'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  attributes: Array<{ key: string, value: { stringValue?: string, intValue?: number } }>
  links?: Array<{ traceId: string, spanId: string }>
}
interface ExportedSpans { resourceSpans: Array<{ resource: { attributes: Span['attributes'] }, scopeSpans: Array<{ spans: Span[] }> }> }

/** Takes what an OTLP exporter sends, as a collector does. */
async function startCollector (t: Test, answers: 'at-once' | 'never' = 'at-once'): Promise<{ url: string, paths: Set<string>, texts: string[], spans: () => Span[], close: () => Promise<void> }> {
  const texts: string[] = []
  const paths = new Set<string>()
  const server = createServer((request, response) => {
    paths.add(request.url ?? '')
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
    request.on('end', () => {
      texts.push(text)
      if (answers === 'at-once') response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise<void>(resolve => { server.close(() => { resolve() }) })
  }
  t.teardown(close)
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    paths,
    texts,
    spans: () => texts.flatMap(text => (JSON.parse(text) as ExportedSpans).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))),
    close
  }
}

function attributesOf ({ attributes }: Pick<Span, 'attributes'>): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))
}

t.test('a batch can be followed from its request to its insert, and nothing tells whose it was', async t => {
  const collector = await startCollector(t)
  const service = await startTestService(t, { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`, OTEL_SERVICE_NAME: 'assent-test' })
  const person = { sub: `ada-${uuid()}`, email: `ada-${uuid()}@example.com`, device_id: `pc-${uuid()}` }
  const token = await service.token(person)
  const event = makeEvent(heartbeat)
  const batch = makeBatch({ device_id: person.device_id, events: [event] })
  const parent = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
  const headers = { traceparent: `00-${parent.traceId}-${parent.spanId}-01`, tracestate: `vendor=${person.sub}` }
  const answer = await service.call('POST', '/v1/events', { token, body: batch, headers })
  t.equal(answer.status, 202)
  await service.call('PUT', `/v1/devices/${person.device_id}/privacy?who=${person.sub}`, { token, body: {} })
  t.equal((await service.call('GET', `/dev/inbox?to=${person.email}`)).status, 200)

  const find = (name: string, of: (span: Span) => boolean = () => true): Span | undefined => collector.spans().find(span => span.name === name && of(span))
  await eventually('the insert is traced', async () => find('clickhouse.insert') !== undefined && find('PUT /v1/devices/:device_id/privacy') !== undefined && find('GET /dev/inbox') !== undefined)
  const request = find('POST /v1/events')!
  t.match(request, { traceId: parent.traceId, parentSpanId: parent.spanId })
  t.same(attributesOf(request), { 'http.request.method': 'POST', 'http.route': '/v1/events', 'http.response.status_code': 202 })
  const queued = find('queue.add')!
  t.match(queued, { traceId: parent.traceId, parentSpanId: request.spanId })
  const stored = find('writer.store', ({ links = [] }) => links.some(({ traceId, spanId }) => traceId === parent.traceId && spanId === queued.spanId))!
  t.ok(stored, 'the writer points to what queued the batch')
  t.not(stored.traceId, parent.traceId)
  t.match(find('clickhouse.insert'), { traceId: stored.traceId, parentSpanId: stored.spanId })

  const sent = collector.texts.join('\n')
  for (const secret of [...Object.values(person), event['id'], batch['batch_id'], token, 'LIC-7Q4M', 'tracestate', '127.0.0.1', 'who=', 'to=']) {
    t.notOk(sent.includes(String(secret)), `${String(secret)} is not told`)
  }
  t.match(sent, /assent-test/)
  t.same([...collector.paths], ['/v1/traces'])
})

t.test('a request without a traceparent, or with one that cannot be read, is a trace of its own', async t => {
  const collector = await startCollector(t)
  const service = await startTestService(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  for (const traceparent of [undefined, 'zebra', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`]) {
    t.equal((await service.call('GET', '/v1/catalog', { headers: traceparent === undefined ? {} : { traceparent } })).status, 200)
  }
  await service.call('GET', '/nowhere/zebra')
  await service.service.close()
  const answered = collector.spans().filter(({ name }) => name === 'GET /v1/catalog')
  t.equal(new Set(answered.map(({ traceId }) => traceId)).size, 3, 'what there was is sent when the service closes')
  t.ok(answered.every(({ parentSpanId = '' }) => parentSpanId === ''))
  t.notOk(collector.texts.join('\n').includes('zebra'), 'an address that is no route is not told')
})

for (const [name, answers] of [['is gone', 'at-once'], ['never answers', 'never']] as const) {
  t.test(`a collector that ${name} changes nothing but a count`, async t => {
    const collector = await startCollector(t, answers)
    if (answers === 'at-once') await collector.close()
    const service = await startTestService(t, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const token = await service.token({ sub: 'ada' })
    t.match(await service.post(token, { events: [makeEvent(heartbeat)] }), { status: 202, body: { accepted: 1 } })
    await eventually('it is stored', async () => await service.count('events_v') === 1)
    await eventually('the operator is told', async () => /what="traces-unsent"\} [1-9]/.test(await (await fetch(`${service.service.url}/metrics`)).text()))
    t.notOk(service.logs.join('\n').includes(collector.url))
    await service.post(token, { events: [makeEvent(heartbeat)] })
    await service.service.close()
  })
}

t.test('packages of OpenTelemetry are loaded only where a collector is named', async t => {
  // But its api, which is constants and stubs: prom-client brings it.
  const telling = 'import { registerHooks } from "node:module"; registerHooks({ load: (url, context, next) => { if (/@opentelemetry.(?!api.)/.test(url)) process._rawDebug("loaded " + url); return next(url, context) } })'
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(telling)}`
  const loadedBy = async (environment: Record<string, string>): Promise<string[]> => {
    const service = await startProcess(t, { DATA_DIR: await makeFolder(t), NODE_OPTIONS, ...environment })
    await service.post(await service.token({ sub: 'ada' }))
    const { code, stderr } = await service.end('SIGTERM')
    t.equal(code, 0)
    return stderr.split('\n').filter(line => line.startsWith('loaded '))
  }
  t.same(await loadedBy({}), [])
  t.not((await loadedBy({ OTEL_EXPORTER_OTLP_ENDPOINT: (await startCollector(t)).url })).length, 0)
})
