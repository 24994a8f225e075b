import { gzipSync } from 'node:zlib'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { heartbeat, makeBatch, makeEvent } from '../support/api.ts'
import { makePostBody } from '../support/bodies.ts'
import { eventually, startTestService } from '../support/service.ts'

t.test('a large batch is judged in a thread, and its client cannot tell', async t => {
  const workers: Worker[] = []
  process.on('worker', worker => { workers.push(worker) })
  const service = await startTestService(t, { INTAKE_THREADS: '1' })
  const thread = workers.find(({ threadName }) => threadName === 'judging')
  let told = 0
  thread?.on('message', () => { told++ })
  const token = await service.token({ sub: 'anna' })
  const post = makePostBody(service, token)
  const events = [...Array.from({ length: 60 }, () => makeEvent(heartbeat)), makeEvent(), makeEvent({ name: 'no.such' })]

  const plain = await post(JSON.stringify(makeBatch({ events })))
  t.equal(plain.status, 202)
  t.match(plain.body, { accepted: 60, dropped: 1, rejected: 1, results: [{ outcome: 'dropped' }, { outcome: 'rejected', reason: 'unknown_event' }] })
  t.match(await post(gzipSync(JSON.stringify(makeBatch({ events }))), { 'content-encoding': 'gzip' }), { status: 202, body: { accepted: 60 } })
  const text = JSON.stringify(makeBatch({ events, device_id: 'd1' }))
  t.match(await post(text.slice(0, -1)), { status: 400, body: { type: '/problems/invalid-json' } })
  t.match(await post(text.replace('"product":', '"product":0,"x":')), { status: 400, body: { type: '/problems/invalid-batch', errors: [{ pointer: '/product' }] } })
  const late = JSON.stringify({ ...makeBatch({ events }), device_id: 'd1' })
  t.match(await post(late), { status: 202, body: { accepted: 60 } }, 'the device is named at the end, where nobody looked for it')
  t.match(await makePostBody(service, await service.token({ sub: 'anna', device_id: 'd2' }))(text), { status: 403, body: { type: '/problems/device-mismatch' } })
  t.equal(told, 7, 'a message for each, and one for the owner that was found late')

  await thread?.terminate()
  t.match(await post(JSON.stringify(makeBatch({ events }))), { status: 202, body: { accepted: 60 } }, 'without the thread it is judged all the same')
  t.match(await (await fetch(`${service.service.url}/metrics`)).text(), 'assent_trouble_total{what="intake-thread-ended"} 1')
  await eventually('what was accepted is stored', async () => await service.count('events') === 60)
})
