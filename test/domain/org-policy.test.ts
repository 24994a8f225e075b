import t from 'tap'
import { decide, emptyRecord, nextPolicy, permissionFor, type OrgPolicy, type Standing } from '../../src/domain/consent.ts'

const purpose = { id: 'product_analytics', title: '', description: '', required: false, legalBasis: '', onWithdrawal: 'keep' as const }
const agreed = { ...emptyRecord, account: { product_analytics: { state: 'granted' as const, since: 100, deniedUntil: 0, entry: 'e' } } }
const under = (orgPolicy: OrgPolicy): Standing => ({ account: agreed, deviceId: undefined, deviceAlone: undefined, orgPolicy, regionalDefault: 'denied' })
const fate = (policy: OrgPolicy, capturedAt: number): string => decide(permissionFor(purpose, under(policy), 'account'), capturedAt).reason

t.test('what was captured while an organisation had switched a purpose off is not stored after it lifts that', async t => {
  const off = nextPolicy({}, { product_analytics: 'off' }, 200)
  t.equal(fate(off, 250), 'org_denied')
  const lifted = nextPolicy(off, { product_analytics: 'none' }, 300)
  t.equal(fate(lifted, 250), 'captured_before_consent')
  t.equal(fate(lifted, 299), 'captured_before_consent')
  t.equal(fate(lifted, 300), 'account_granted')
})

t.test('a policy that no longer names a purpose lifts it, and a repeated one moves nothing', async t => {
  const off = nextPolicy(nextPolicy({}, { product_analytics: 'off' }, 200), { product_analytics: 'off' }, 250)
  t.same(off, { product_analytics: { state: 'off', offUntil: 0 } })
  const lifted = nextPolicy(nextPolicy(off, {}, 300), {}, 400)
  t.same(lifted, { product_analytics: { state: 'none', offUntil: 300 } })
})
