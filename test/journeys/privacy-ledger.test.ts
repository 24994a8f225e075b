import t from 'tap'
import { signIn } from '../support/api.ts'
import { fillLedger, makeEntry } from '../support/exports.ts'
import { startTestService } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'

const service = await startTestService(t)
const team = await joinTeam(service)
const page = async (query = ''): Promise<Record<string, any>> => {
  const { status, body } = await team.ask(`ledger${query}`)
  t.equal(status, 200, query)
  return body
}
const told = (body: Record<string, any>): string[] =>
  body['entries'].map((entry: Record<string, string>) => `${entry['account_id'] ?? 'nobody'} ${entry['device_id'] ?? 'everywhere'} ${entry['purpose']!} ${entry['decision']!}`)

const ada = await signIn(service, 'ada', 'product_analytics')
const bob = await signIn(service, 'bob', 'diagnostics')
await service.change(bob.token, bob.email, { devices: { 'pc-bob': { diagnostics: 'denied' } } })
await service.call('PUT', '/v1/devices/pc-bob/privacy', { token: await service.token({ device_id: 'pc-bob' }), body: { personalization: 'denied' } })
await ada.choose({ product_analytics: 'denied' })
const all = ['ada everywhere product_analytics granted', 'bob everywhere diagnostics granted', 'bob pc-bob diagnostics denied', 'nobody pc-bob personalization denied', 'ada everywhere product_analytics denied']

t.test('entries come in the order in which they were recorded, shown as their owner sees them', async t => {
  const body = await page()
  t.strictSame(told(body), all)
  t.match(body['ledger_head'], { entries: 5, position: /-/ })
  t.notOk('next_cursor' in body)
  const { body: own } = await service.call('GET', '/v1/me/privacy/history', { token: ada.token })
  t.strictSame(body['entries'].filter((entry: { account_id: string }) => entry.account_id === 'ada').reverse(), own['entries'])
})

t.test('each condition narrows', async t => {
  const pick = (...places: number[]): string[] => places.map(place => all[place]!)
  t.strictSame(told(await page('?account_id=ada')), pick(0, 4))
  t.strictSame(told(await page('?device_id=pc-bob')), pick(2, 3), 'a device: signed out, and of accounts on it')
  t.strictSame(told(await page('?device_id=pc-bob&account_id=bob')), pick(2))
  t.strictSame(told(await page('?purpose=diagnostics')), pick(1, 2))
  t.strictSame(told(await page('?decision=denied')), pick(2, 3, 4))
  t.strictSame(told(await page('?decision=denied&purpose=diagnostics')), pick(2))
  t.strictSame(told(await page('?account_id=nobody')), [])
  const { entries } = await page()
  const [, second, third] = entries.map((entry: { recorded_at: string }) => entry.recorded_at)
  t.strictSame(told(await page(`?from=${second}&to=${third}`)), pick(1), 'from a time on, until before a time')
  t.strictSame(told(await page(`?from=${third}&to=${third}`)), [])
})

t.test('pages follow one another without a gap or a repetition, and tell of the ledger as it was for the first, while entries are added', async t => {
  const seen: string[] = []
  let body = await page('?limit=2')
  const { ledger_head: head, entries: [first] } = body
  seen.push(...told(body))
  await ada.choose({ diagnostics: 'granted' })
  // What takes its time between the two says so, and then comes in before the end of a page that was read.
  const slow = makeEntry({ account_id: 'slow', recorded_at: Date.parse(first.recorded_at as string) })
  await fillLedger(service, [slow])
  while (body['next_cursor'] !== undefined) {
    body = await page(`?limit=2&cursor=${body['next_cursor'] as string}`)
    t.strictSame(body['ledger_head'], head)
    seen.push(...told(body))
  }
  t.strictSame(seen, all)
  t.equal(seen.length, head.entries, 'all that the head holds')
  const again = await page('?limit=7')
  t.equal(again['ledger_head'].entries, 7)
  t.strictSame(told(again).sort(), [...all, 'ada everywhere diagnostics granted', 'slow everywhere product_analytics granted'].sort(), 'another search has both')
  t.notOk('next_cursor' in again, 'the last page is known to be the last')
})

t.test('a cursor is good for the question and the person it was given to', async t => {
  const cursor = (await page('?limit=1&purpose=diagnostics'))['next_cursor'] as string
  t.strictSame(told(await page(`?purpose=diagnostics&cursor=${cursor}`)).length, 2, 'whatever the size of the page')
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const forged = [`9${text}`, text.replace(/\d/, digit => String((Number(digit) + 1) % 10)), text.slice(0, -1), `${text}0`, '2.', 'x', '[].'].map(made => Buffer.from(made, 'latin1').toString('base64url'))
  const others = [...forged.map(made => `purpose=diagnostics&cursor=${made}`), `cursor=${cursor}`, `purpose=personalization&cursor=${cursor}`, `purpose=diagnostics&decision=denied&cursor=${cursor}`]
  const refusal = { status: 400, body: { type: '/problems/invalid-request', errors: [{ pointer: '/cursor' }] } }
  for (const query of others) t.match(await team.ask(`ledger?${query}`), refusal, query)
  t.match(await (await joinTeam(service, 'somebody-else')).ask(`ledger?purpose=diagnostics&cursor=${cursor}`), refusal, 'somebody else\'s')
  t.match(await team.ask(`accounts?cursor=${cursor}`), refusal, 'of another list')
})

t.test('a range that ends before it begins is refused', async t => {
  t.match(await team.ask('ledger?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z'), { status: 422, body: { type: '/problems/range-reversed' } })
})
