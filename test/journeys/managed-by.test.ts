import t from 'tap'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t)

t.test('a person sees what their organisation has switched off, and their own choice beside it', async t => {
  const admin = await service.token({ sub: 'team', scope: 'privacy:admin' })
  const set = async (policy: Record<string, string>): Promise<number> =>
    (await service.call('PUT', '/v1/privacy/organizations/acme/policy', { token: admin, body: policy, headers: { 'purpose-of-use': 'contract 7' } })).status
  const member = await service.token({ sub: 'ada', email: 'ada@example.com', org_id: 'acme' })
  const managed = async (token: string): Promise<unknown[]> =>
    ((await service.call('GET', '/v1/me/privacy', { token })).body['purposes'] as Array<{ id: string, managed_by?: string }>).filter(purpose => purpose.managed_by !== undefined).map(({ id, managed_by: by }) => [id, by])

  t.same(await managed(member), [])
  t.equal(await set({ product_analytics: 'off', diagnostics: 'none' }), 200)
  t.same(await managed(member), [['product_analytics', 'organization']])
  t.same(await managed(await service.token({ sub: 'bob' })), [], 'nobody else does')
  const { body } = await service.change(member, 'ada@example.com', { account: { product_analytics: 'granted' } })
  t.match(body, { account: { product_analytics: { state: 'granted' } } })
  t.equal(await set({}), 200)
  t.same(await managed(member), [])
})
