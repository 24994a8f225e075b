import t from 'tap'
import { signIn } from '../support/api.ts'
import { startTestService } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'

const service = await startTestService(t)
const team = await joinTeam(service)
const encode = encodeURIComponent

t.test('the team sees at once what a person chose, and what stood before', async t => {
  const ada = await signIn(service, 'ada')
  const before = new Date().toISOString()
  const granted = await ada.choose({ product_analytics: 'granted' })
  const between = new Date(Date.now() + 5).toISOString()
  await new Promise(resolve => setTimeout(resolve, 10))
  const denied = await ada.choose({ product_analytics: 'denied', diagnostics: 'granted' })

  const { status, body } = await team.ask('accounts/ada')
  t.equal(status, 200)
  t.match(body, {
    account_id: 'ada',
    as_of: /Z$/,
    known_at: /Z$/,
    account: {
      product_analytics: { state: 'denied', entry_id: denied.body['entries'][0] },
      diagnostics: { state: 'granted', entry_id: denied.body['entries'][1] },
      content_insights: { state: 'absent', since: null, entry_id: null },
      personalization: { state: 'absent', since: null, entry_id: null }
    },
    devices: [],
    ledger_head: { revision: 3, hash: /^[0-9a-f]{64}$/, entries: 3, position: /^[0-9]+(-[0-9]+){15}$/ }
  })
  for (const clock of ['as_of', 'known_at']) {
    const then = (await team.ask(`accounts/ada?${clock}=${between}`)).body
    t.match(then, { [clock]: between, account: { product_analytics: { state: 'granted', entry_id: granted.body['entries'][0] }, diagnostics: { state: 'absent' } } }, clock)
    t.match((await team.ask(`accounts/ada?${clock}=${before}`)).body, { account: { product_analytics: { state: 'absent', since: null } } }, `${clock} before all`)
  }
  t.match((await team.ask(`accounts/ada?known_at=${between}`)).body, { ledger_head: { revision: 1, entries: 3 } }, 'the chain as it was known then')
  t.match((await team.ask(`accounts/ada?known_at=${before}`)).body, { ledger_head: { revision: 0, hash: '' } })
})

t.test('devices are shown by themselves, and what was cleared is absent', async t => {
  const dora = await signIn(service, 'dora')
  const patch = { devices: { [dora.deviceId]: { diagnostics: 'granted', personalization: 'denied' } } }
  t.equal((await service.change(dora.token, dora.email, patch)).status, 200)
  const cleared = await service.change(dora.token, dora.email, { devices: { [dora.deviceId]: { personalization: 'cleared' } } })
  const { body } = await team.ask('accounts/dora')
  t.match(body, {
    account: { diagnostics: { state: 'absent' } },
    devices: [{ device_id: dora.deviceId, choices: { diagnostics: { state: 'granted' }, personalization: { state: 'absent', since: /Z$/, entry_id: cleared.body['entries'][0] }, product_analytics: { state: 'absent', since: null } } }]
  })
  t.equal(body['devices'].length, 1)
})

t.test('an account that nobody has heard of has chosen nothing', async t => {
  for (const name of ['nobody', 'ada\'; DROP TABLE consent_ledger --', 'a{b:String}', 'ünï\u{1f600}', '%']) {
    const { status, body } = await team.ask(`accounts/${encode(name)}`)
    t.equal(status, 200, name)
    t.match(body, { account_id: name, devices: [], ledger_head: { revision: 0, hash: '' } })
    t.ok(Object.values(body['account']).every(choice => (choice as { state: string }).state === 'absent'))
  }
})

t.test('all accounts are listed in order, and the list stands still while choices are made', async t => {
  const names = ['list-a', 'list-b', 'list-c', 'list-d']
  for (const name of names) await signIn(service, name, 'diagnostics')
  const first = (await team.ask('accounts?limit=2')).body
  t.equal(first['accounts'].length, 2)
  await signIn(service, 'list-bb', 'diagnostics')
  const late = await signIn(service, 'list-d')
  await late.choose({ diagnostics: 'denied' })
  t.match((await team.ask('accounts/list-d')).body, { account: { diagnostics: { state: 'denied' } } }, 'which the ledger holds by now')

  const all = [...first['accounts']]
  for (let page = first; page['next_cursor'] !== undefined;) {
    page = (await team.ask(`accounts?limit=2&cursor=${page['next_cursor'] as string}`)).body
    all.push(...page['accounts'])
    t.same([page['as_of'], page['known_at'], page['ledger_head']], [first['as_of'], first['known_at'], first['ledger_head']])
  }
  t.strictSame(all.map(account => account.account_id), ['ada', 'dora', ...names])
  t.match(all.at(-1), { account: { diagnostics: { state: 'granted' } }, devices: [] }, 'as it was when the list began')
  const now = (await team.ask('accounts')).body
  t.match(now['accounts'].map((account: { account_id: string }) => account.account_id), ['ada', 'dora', 'list-a', 'list-b', 'list-bb', 'list-c', 'list-d'])
  t.notOk('next_cursor' in now)
  t.match(now['accounts'].at(-1), { account: { diagnostics: { state: 'denied' } } })
})

t.test('a list stands still that asks for what is known at a time to come', async t => {
  const first = (await team.ask('accounts?limit=1&known_at=2100-01-01T00:00:00Z')).body
  await signIn(service, 'list-e', 'diagnostics')
  t.equal((await team.ask('accounts/list-e')).body['ledger_head'].revision, 1, 'which the ledger holds by now')
  const all: string[] = []
  for (let page = first; ; page = (await team.ask(`accounts?limit=1&known_at=2100-01-01T00:00:00Z&cursor=${page['next_cursor'] as string}`)).body) {
    all.push(page['accounts'][0].account_id)
    if (page['next_cursor'] === undefined) break
  }
  t.strictSame(all, ['ada', 'dora', 'list-a', 'list-b', 'list-bb', 'list-c', 'list-d'])
})

t.test('a check answers for each account as intake decides', async t => {
  const grace = await signIn(service, 'grace')
  const granted = await grace.choose({ product_analytics: 'granted' })
  const henry = await signIn(service, 'henry')
  const denied = await henry.choose({ product_analytics: 'denied' })
  const check = async (fields: Record<string, unknown>): Promise<Record<string, any>> => {
    const { status, body } = await team.ask('consents/check', { purpose: 'product_analytics', product: 'cad', release: 2026, ...fields })
    t.equal(status, 200, JSON.stringify(body))
    return body
  }
  const accounts = ['henry', 'grace', 'nobody', 'grace']
  const { answers, ledger_head: head } = await check({ accounts })
  t.strictSame(answers, [
    { account_id: 'henry', allowed: false, reason: 'account_denied', entry_id: denied.body['entries'][0] },
    { account_id: 'grace', allowed: true, reason: 'account_granted', entry_id: granted.body['entries'][0] },
    { account_id: 'nobody', allowed: false, reason: 'not_granted' },
    { account_id: 'grace', allowed: true, reason: 'account_granted', entry_id: granted.body['entries'][0] }
  ])
  t.match(head, { entries: Number, position: /-/ })
  const reasons = async (fields: Record<string, unknown>): Promise<string[]> => (await check({ accounts: ['grace', 'henry'], ...fields }))['answers'].map((answer: { reason: string }) => answer.reason)
  t.strictSame(await reasons({ release: 2020 }), ['no_device', 'account_denied'], 'a release that the device governs')
  t.strictSame(await reasons({ release: 2020, device_id: 'pc-grace' }), ['not_granted', 'account_denied'])
  t.strictSame(await reasons({ release: 1990 }), ['unknown_product', 'unknown_product'])
  t.strictSame(await reasons({ product: 'nothing' }), ['unknown_product', 'unknown_product'])
  t.strictSame(await reasons({ purpose: 'license_compliance' }), ['required', 'required'])
  const deviceToken = await service.token({ device_id: 'pc-grace' })
  await service.call('PUT', '/v1/devices/pc-grace/privacy', { token: deviceToken, body: { product_analytics: 'denied' } })
  t.strictSame(await reasons({ device_id: 'pc-grace' }), ['device_denied', 'account_denied'], 'a no that was said on the device while signed out')
  t.strictSame(await reasons({ as_of: '2025-01-01T00:00:00Z' }), ['not_granted', 'not_granted'])
  t.strictSame(await reasons({ known_at: '2025-01-01T00:00:00Z' }), ['not_granted', 'not_granted'])
  t.match(await team.ask('consents/check', { purpose: 'product_analyticz', product: 'cad', release: 2026, accounts }), { status: 422, body: { type: '/problems/unknown-purpose' } })
})

t.test('10,000 accounts are answered in one call, in the order they were asked', async t => {
  const accounts = Array.from({ length: 10_000 }, (_, index) => index % 1000 === 7 ? 'grace' : `somebody-${'x'.repeat(60)}-${String(index)}`)
  const { status, body } = await team.ask('consents/check', { purpose: 'product_analytics', product: 'cad', release: 2026, accounts })
  t.equal(status, 200)
  t.strictSame(body['answers'].map((answer: { account_id: string }) => answer.account_id), accounts)
  t.equal(body['answers'].filter((answer: { allowed: boolean }) => answer.allowed).length, 10)
})
