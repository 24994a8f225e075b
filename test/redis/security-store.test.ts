import t from 'tap'
import { makeSecurityStore } from '../../src/redis/security-store.ts'
import { startRedis } from '../support/redis.ts'
import { passTime } from '../support/service.ts'

const { redis } = await startRedis(t)

t.test('how long an enrolment is kept is told by its expiry, not by the clock of this process', async t => {
  const expiresAt = Date.now() + 15 * 60_000
  passTime(t)(86_400_000)
  const security = makeSecurityStore(redis)
  const enrolment = { id: 'one', accountId: 'ada', sealedSecret: 'sealed', replaces: false, securityVersion: 0, expiresAt }
  t.equal(await security.startEnrolment(enrolment, { jti: 'token', forgetInSeconds: 300, securityVersion: 0 }), 'written')
  t.match(await security.reserveEnrolment('ada', 'one', expiresAt - 1), { reserved: true, enrolment, attemptsRemaining: 4 })
  t.match(await security.reserveEnrolment('ada', 'one', expiresAt), { reserved: false, reason: 'expired' })
  const [key] = await redis.keys('assent:*:enrolment:*')
  t.equal(await redis.pexpiretime(key!), expiresAt + 3_600_000)
})
