import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connectForRequests } from '../../src/redis/client.ts'
import { startEmbeddedRedis } from '../../src/redis/embedded.ts'
import { makeSecurityStore } from '../../src/redis/security-store.ts'
import { passTime } from '../support/service.ts'

const dir = await mkdtemp(join(tmpdir(), 'assent-security-'))
const socketPath = join(dir, 'redis.sock')
const embedded = await startEmbeddedRedis({ dir, socketPath, readyWithinMs: 60_000, onRestart: () => {} })
const redis = connectForRequests({ socketPath })
await redis.connect()
t.teardown(async () => {
  redis.disconnect()
  await embedded.close()
  await rm(dir, { recursive: true, force: true })
})

t.test('how long an enrolment is kept is told by its expiry, not by the clock of this process', async t => {
  const expiresAt = Date.now() + 15 * 60_000
  passTime(t)(86_400_000)
  const security = makeSecurityStore(redis)
  const enrolment = { id: 'one', accountId: 'ada', sealedSecret: 'sealed', replaces: false, securityVersion: 0, expiresAt }
  t.equal(await security.startEnrolment(enrolment, { jti: 'token', expiresInSeconds: 300, securityVersion: 0 }), 'written')
  t.match(await security.reserveEnrolment('ada', 'one', expiresAt - 1), { reserved: true, enrolment, attemptsRemaining: 4 })
  t.match(await security.reserveEnrolment('ada', 'one', expiresAt), { reserved: false, reason: 'expired' })
  const [key] = await redis.keys('assent:*:enrolment:*')
  t.equal(await redis.pexpiretime(key!), expiresAt + 3_600_000)
})
