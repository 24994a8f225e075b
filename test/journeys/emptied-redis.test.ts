import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fates, heartbeat, makeEvent, signIn } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

const regions = join(t.testdir({}), 'regions.json')
await writeFile(regions, JSON.stringify({ regions: { US: 'granted' } }))
const service = await startTestService(t, { REGION_POLICY_FILE: regions })
const team = { token: await service.token({ sub: 'team', scope: 'privacy:read privacy:admin' }), headers: { 'purpose-of-use': 'a test' } }

/** What becomes of an optional event now; the service may say that it cannot tell. */
async function fate (token: string): Promise<string> {
  const event = makeEvent()
  const answer = await service.post(token, { events: [event] })
  if (answer.status !== 503) return fates(answer, [event])[0]!
  return answer.body['type'] === '/problems/unavailable' && answer.headers.get('retry-after') !== null ? 'unavailable' : 'an odd 503'
}

t.test('a Redis that is emptied under a running service makes no yes of a no', async t => {
  const ada = await signIn(service, 'ada')
  await ada.choose({ product_analytics: 'denied' })
  const american = await service.token({ sub: 'ada', region: 'US', device_id: ada.deviceId })
  const member = await service.token({ sub: 'eve', region: 'US', org_id: 'acme' })
  t.equal((await service.call('PUT', '/v1/privacy/organizations/acme/policy', { ...team, body: { product_analytics: 'off' } })).status, 200)
  t.same([await fate(american), await fate(member)], ['account_denied', 'org_denied'])
  await eventually('all is in ClickHouse', async () => await service.count('consent_ledger') === 1 && await service.count('organization_policies') === 1)

  for (const round of [1, 2, 3]) {
    await service.redis.flushall()
    const seen = new Set<string>()
    for (let done = 0; done < 2;) {
      const [person, organization] = await Promise.all([fate(american), fate(member)])
      seen.add(person).add(organization)
      if (person === 'account_denied' && organization === 'org_denied') done++
    }
    t.same([...seen].filter(what => !['unavailable', 'account_denied', 'org_denied'].includes(what)), [], `round ${String(round)}`)
  }
  t.equal(await service.count("events_v WHERE name = 'command.run'"), 0)
  t.match(await service.call('GET', '/health/ready'), { status: 200, body: { whole: true } })
})

t.test('while it is not whole, nothing is decided, changed or told', async t => {
  const ada = await service.token({ sub: 'ada', email: 'ada@example.com' })
  await service.redis.del('assent:{0}:whole')
  const answers = await Promise.all([
    service.post(ada, { events: [makeEvent(heartbeat)] }), service.call('GET', '/v1/consent?product=cad&release=2026', { token: ada }), service.call('GET', '/v1/me/privacy', { token: ada }),
    service.call('POST', '/v1/me/privacy/stop', { token: ada }), service.call('GET', '/v1/privacy/accounts/ada', team), service.call('GET', '/health/ready'),
    service.call('PUT', '/v1/privacy/organizations/acme/policy', { ...team, body: { product_analytics: 'none' } })
  ])
  t.same(answers.map(({ status }) => status), answers.map(() => 503))
  await eventually('it is made whole again', async () => (await service.call('GET', '/health/ready')).status === 200)
  t.match((await service.call('GET', '/v1/me/privacy', { token: ada })).body['account'], { product_analytics: { state: 'denied' } })
})
