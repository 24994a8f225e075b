import t from 'tap'
import { fuzz } from './fuzz.ts'

t.test('whatever is sent, the answer is one of the document, and what is stored is what was accepted', async t => {
  const { faults, answers, requests, eventsStored, eventsRefused } = await fuzz(t, { seed: 20_260_101, requests: 3000, say: () => {} })
  t.strictSame(Object.fromEntries(faults), {})
  t.equal(requests, 3000)
  t.ok(answers.size > 45, 'all operations were asked')
  t.ok(eventsStored > 100 && eventsRefused > 500, 'some events were right and many were not')
})
