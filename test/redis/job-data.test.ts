import { randomBytes } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { fromJobData, headsOf, isWhole, toJobData, type JobData } from '../../src/redis/job-data.ts'
import { makeQueuedBatch, makeRow, queueRows } from '../support/queued.ts'

const throughRedis = (data: unknown): JobData => JSON.parse(JSON.stringify(data)) as JobData
const counts: QueuedBatch['counts'] = [{ event: 'e', version: 1, purpose: 'p', outcome: 'accepted', reason: 'r', count: 3 }]
const body = `${randomBytes(32).toString('base64')}\n["rows"]\n1{}\n2{"a":"\u{1f600}"}`

t.test('batches come out of a job as they went in, each with its own rows', async t => {
  const batches = [
    makeQueuedBatch({ body, counts, trace: '00-trace' }),
    makeQueuedBatch({ owner: { accountId: undefined, deviceId: 'pc', orgId: 'acme', region: 'CH' } }),
    makeQueuedBatch({ body: 'é' }),
    makeQueuedBatch({ body: 'the rest' })
  ]
  const data = throughRedis(await toJobData(batches))
  t.same(await fromJobData(data), batches)
  t.same(headsOf(data), batches.map(({ body: _, ...head }) => head))
})

t.test('random ids are most of what the rows of a job take', async t => {
  const batches = Array.from({ length: 8 }, () => queueRows(Array.from({ length: 100 }, () => makeRow({ properties: '{"command":"LINE","duration_ms":120}' }))))
  const { bodies } = await toJobData(batches) as { bodies: string }
  t.ok(bodies.length < 800 * 16 * 4 / 3 * 1.6, `${String(bodies.length)} characters`)
})

t.test('of a job whose rows cannot be read it is known whose they are', async t => {
  const batches = [makeQueuedBatch({ body, counts }), makeQueuedBatch({ body })]
  const data = { ...await toJobData(batches) as object, bodies: 'AAAA' }
  const found = await fromJobData(throughRedis(data))
  t.match(found, batches.map(({ body: _, ...head }) => head))
  t.notOk(found.some(batch => batch.body === body || batch.body === ''), 'and none of them seems to have no rows')
})

t.test('a job whose text is shorter than its batches say has none that seems to hold no rows', async t => {
  const data = await toJobData([makeQueuedBatch({ body }), makeQueuedBatch({ body })])
  const { bodies } = await toJobData([makeQueuedBatch({ body })]) as { bodies: string }
  for (const shorter of [{ ...data, bodies }, { ...data, bodies: '' }]) {
    const found = await fromJobData(throughRedis(shorter))
    t.equal(found.length, 2)
    t.notOk(found.some(isWhole))
    t.notOk(found.some(batch => batch.body === ''))
  }
})

/** A body as it was packed by itself until schema 4. */
function oldBody (text = body, packs = true): string {
  const [ids = '', ...lines] = text.split('\n')
  const [bytes, rest] = [Buffer.from(ids, 'base64'), lines.join('\n')]
  return Buffer.concat([Buffer.from([0, 0, bytes.length / 16]), bytes, packs ? zstdCompressSync(rest) : Buffer.from(rest)]).toString('base64')
}

t.test('a job of one batch, as older versions wrote it, is read', async t => {
  const batch = makeQueuedBatch({ body, counts })
  for (const packs of [true, false]) {
    const old = throughRedis({ ...batch, schema: 4, body: oldBody(body, packs), counts: [['e', 1, 'p', 'accepted', 'r', 3]] })
    t.match(await fromJobData(old), [{ ...batch, owner: { accountId: 'ada', deviceId: 'pc-1' } }])
  }
})

t.test('batches of schema 3 and 4, which were packed one by one, are read as those of today', async t => {
  const batches = [makeQueuedBatch({ body, counts, trace: '00-trace' }), makeQueuedBatch()]
  const { batches: lists, ...rest } = JSON.parse(JSON.stringify(await toJobData(batches))) as { batches: unknown[][], bodies?: string }
  delete rest.bodies
  for (const [schema, ...bytes] of [[3], [4, 170]]) {
    const ofOld = { ...rest, batches: lists.map(([, ...places], index) => [schema, ...places.slice(0, 9), index === 0 ? oldBody() : '', ...bytes, ...places.slice(10)]) }
    t.same(await fromJobData(throughRedis(ofOld)), batches)
  }
})

t.test('an old body that cannot be read is not taken for an empty one', async t => {
  const old = { ...makeQueuedBatch({ counts }), schema: 4 }
  for (const spoilt of ['x', oldBody().slice(0, -20), 'nobody reads this']) {
    const [batch] = await fromJobData(throughRedis({ ...old, body: spoilt }))
    t.not(batch?.body, '')
  }
})

t.test('counts with names, as the first version wrote them, are read too', async t => {
  t.match(await fromJobData(throughRedis({ ...makeQueuedBatch({ counts }), schema: 4 })), [{ counts }])
})

t.test('a version that knows one batch of each job finds a form that it does not know, and a list of counts', async t => {
  const data = throughRedis(await toJobData([makeQueuedBatch()])) as unknown as QueuedBatch
  t.not(data.schema, 2, 'the only one that it knows')
  t.same(data.counts, [])
})
