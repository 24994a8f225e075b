import t from 'tap'
import type { Answer } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
const service = await startTestService(t)
const { letters, protect, pay } = makeTwoStepClient(service, pass)
const longLived = { expires_in: 31_536_000 }
const kim = await service.token({ sub: 'support-kim', scope: 'security:admin', ...longLived })
const overseers = [await joinTeam(service, 'privacy-lead', 'privacy:admin'), await joinTeam(service, 'security-lead', 'security:admin')]
const act = async (account: string, action: string, token: string | undefined, reason = 'lost the phone'): Promise<Answer> =>
  await service.call('POST', `/v1/admin/accounts/${account}/${action}`, { token, body: { reason } })
const recorded = async (): Promise<Array<Record<string, unknown>>> =>
  await service.sql("SELECT subject, path, about, status FROM access_log FINAL WHERE path LIKE '/v1/admin/%' ORDER BY at, access_id")
const ada = await protect('ada')

t.test('the security log says which administrator acted, to those who oversee them', async t => {
  t.equal((await act('ada', 'unlock', kim, 'called us')).status, 204)
  t.equal((await act('ada', 'two-step/reset', kim)).status, 204)
  for (const overseer of overseers) {
    const { status, body } = await overseer.ask('accounts/ada/security-events')
    t.equal(status, 200)
    t.match(body, { account_id: 'ada', events: [
      { kind: 'two_step_reset', actor: 'admin', actor_subject: 'support-kim', reason: 'lost the phone', at: /Z$/ },
      { kind: 'account_unlocked', actor: 'admin', actor_subject: 'support-kim', reason: 'called us' },
      { kind: 'two_step_enabled', actor: 'user', actor_subject: null }
    ] })
    t.equal(body['events'].length, 3)
  }
})

t.test('pages of it follow one another, for the person and the account they were given for', async t => {
  const [lead, other] = overseers
  const first = await lead!.ask('accounts/ada/security-events?limit=2')
  const cursor = first.body['next_cursor'] as string
  const rest = await lead!.ask(`accounts/ada/security-events?limit=2&cursor=${cursor}`)
  t.strictSame([...first.body['events'], ...rest.body['events']].map(({ kind }) => kind as string), ['two_step_reset', 'account_unlocked', 'two_step_enabled'])
  t.notOk('next_cursor' in rest.body)
  const path = '/v1/privacy/accounts/ada/security-events'
  isProblem(t, await other!.ask(`accounts/ada/security-events?cursor=${cursor}`), 400, 'invalid-request', path, 'somebody else\'s')
  isProblem(t, await lead!.ask(`accounts/bob/security-events?cursor=${cursor}`), 400, 'invalid-request', path.replace('ada', 'bob'), 'another account\'s')
  t.match(await lead!.ask('accounts/nobody/security-events'), { status: 200, body: { events: [] } })
})

t.test('the person is told that an administrator acted and why, and not which', async t => {
  await eventually('a letter came', async () => (await letters(ada)).some(({ subject }) => subject === '2-step verification was reset'))
  const log = await service.call('GET', '/v1/me/security/events', { token: ada.token })
  t.match(log.body['events'][0], { kind: 'two_step_reset', actor: 'admin', reason: 'lost the phone' })
  await eventually('what the overseers asked is stored', async () => await service.count("access_log FINAL WHERE path = '/v1/privacy/accounts/ada/security-events'") === 5)
  const ready = await service.call('POST', '/v1/me/export', { token: ada.token, headers: { 'verification-token': await pay(ada, 'data.export', { method: 'email' }) } })
  const exported = await (await fetch(`${service.service.url}${ready.body['download'] as string}`, { headers: { authorization: `Bearer ${ada.token}` } })).text()
  t.match(exported, /two_step_reset/)
  for (const text of [JSON.stringify(log.body), JSON.stringify(await letters(ada)), exported]) t.notMatch(text, /support-kim|privacy-lead|security-lead/)
  const calls = exported.split('\n').filter(line => line.includes('"team_call"')).map(line => JSON.parse(line) as { path: string })
  t.strictSame([...new Set(calls.map(({ path }) => path))], ['/v1/admin/accounts/ada/unlock', '/v1/admin/accounts/ada/two-step/reset', '/v1/privacy/accounts/ada/security-events'], 'that it was looked at too')
})

t.test('calls to administrators\' routes are on record, refused ones too', async t => {
  t.equal((await act('ada%2Funlock', 'unlock', kim)).status, 204)
  t.equal((await act('bob', 'unlock', ada.token)).status, 403)
  t.equal((await act('bob', 'unlock', undefined)).status, 401)
  t.equal((await act('bob', 'nothing', kim)).status, 404)
  await eventually('all are stored', async () => (await recorded()).length === 6)
  t.strictSame((await recorded()).slice(1), [
    { subject: 'support-kim', path: '/v1/admin/accounts/ada/two-step/reset', about: '{"reason":"lost the phone"}', status: 204 },
    { subject: 'support-kim', path: '/v1/admin/accounts/ada%2Funlock/unlock', about: '{"reason":"lost the phone"}', status: 204 },
    { subject: 'ada', path: '/v1/admin/accounts/bob/unlock', about: '', status: 403 },
    { subject: null, path: '/v1/admin/accounts/bob/unlock', about: '', status: 401 },
    { subject: 'support-kim', path: '/v1/admin/accounts/bob/nothing', about: '', status: 404 }
  ])
  const ready = await service.call('POST', '/v1/me/export', { token: ada.token, headers: { 'verification-token': await pay(ada, 'data.export', { method: 'email' }) } })
  const exported = await (await fetch(`${service.service.url}${ready.body['download'] as string}`, { headers: { authorization: `Bearer ${ada.token}` } })).text()
  t.notMatch(exported, /ada%2F|bob/, 'and nobody is told of what was about another')
})
