import t from 'tap'
import type { QueuedBatch } from '../../src/flows/ports.ts'
import { fromJobData, toJobData, type JobData } from '../../src/redis/job-data.ts'
import { makeQueuedBatch } from '../support/queued.ts'

const throughRedis = (data: JobData): JobData => JSON.parse(JSON.stringify(data)) as JobData
const counts: QueuedBatch['counts'] = [{ event: 'e', version: 1, purpose: 'p', outcome: 'accepted', reason: 'r', count: 3 }]

t.test('batches come out of a job as they went in', async t => {
  const batches = [
    makeQueuedBatch({ body: 'the rows', counts, trace: '00-trace' }),
    makeQueuedBatch({ owner: { accountId: undefined, deviceId: 'pc', orgId: 'acme', region: 'CH' } })
  ]
  t.same(fromJobData(throughRedis(toJobData(batches))), batches)
})

t.test('a job of one batch, as older versions wrote it, is read', async t => {
  const batch = makeQueuedBatch({ body: 'the rows', counts })
  const old: JobData = { ...batch, counts: [['e', 1, 'p', 'accepted', 'r', 3]] }
  t.match(fromJobData(throughRedis(old)), [{ ...batch, owner: { accountId: 'ada', deviceId: 'pc-1' } }])
})

t.test('batches of schema 3, which did not say how much they are unpacked, are read as those of today', async t => {
  const batch = makeQueuedBatch({ body: 'the rows', counts, trace: '00-trace' })
  const data = JSON.parse(JSON.stringify(toJobData([batch, makeQueuedBatch({ body: 'the rows' })]))) as { batches: unknown[][] }
  const ofOld = { ...data, batches: data.batches.map(([, ...places]) => [3, ...places.slice(0, 10), ...places.slice(11)]) }
  t.match(fromJobData(ofOld as unknown as JobData), [{ ...batch, bytes: 8 }, { schema: 4, body: 'the rows', bytes: 8 }])
})

t.test('counts with names, as the first version wrote them, are read too', async t => {
  const batch = makeQueuedBatch({ counts })
  t.match(fromJobData(throughRedis({ ...batch })), [{ counts }])
})

t.test('a version that knows one batch of each job finds a form that it does not know, and a list of counts', async t => {
  const data = throughRedis(toJobData([makeQueuedBatch()])) as unknown as QueuedBatch
  t.not(data.schema, 2, 'the only one that it knows')
  t.same(data.counts, [])
})
