import t from 'tap'
import { startBridge } from '../support/clickhouse-bridge.ts'
import { eventually, passTime, startTestService } from '../support/service.ts'
import { makeTwoStepClient } from '../support/two-step.ts'

const pass = passTime(t)
const bridge = await startBridge(t)
const user = 'assent'
const password = 'secret'
await bridge.set({ user, password })
const remote = { CLICKHOUSE_URL: bridge.url, CLICKHOUSE_USER: user, CLICKHOUSE_PASSWORD: password, CLICKHOUSE_TIMEOUT: '1s' }
const service = await startTestService(t, remote)
const { letters, prove, protect } = makeTwoStepClient(service, pass)
const subject = 'A backup code was used'
const countOf = async (person: { email: string }): Promise<number> => (await letters(person)).filter(letter => letter.subject === subject).length
const logged = async (account: string): Promise<number> => await service.count(`security_events_v WHERE account_id = '${account}' AND kind = 'backup_code_used'`)
const waiting = async (): Promise<number> =>
  (await Promise.all((await service.redis.keys('assent:*:security-log')).map(async key => await service.redis.xlen(key)))).reduce((sum, length) => sum + length, 0)
/** So many turns of what works off the log that each would have mailed again what it mails again. */
const turnsFail = async (count: number): Promise<void> => {
  const failed = (): number => service.logs.filter(line => line.includes('"outbox-drain-failed"')).length
  const before = failed()
  await eventually('it is tried again', async () => failed() >= before + count)
}

t.test('while ClickHouse is away each notice is mailed, once, and the log has it when it is back', async t => {
  const ada = await protect('ada')
  const bob = await protect('bob')
  await eventually('nothing waits', async () => await waiting() === 0)
  await bridge.kill()
  t.equal((await prove(ada, 'privacy.update', { method: 'backup_code', code: ada.backupCodes[0]! })).status, 200)
  await eventually('the first letter came', async () => await countOf(ada) === 1)
  await turnsFail(3)
  t.equal((await prove(bob, 'privacy.update', { method: 'backup_code', code: bob.backupCodes[0]! })).status, 200)
  await eventually('a later one came too', async () => await countOf(bob) === 1)
  await turnsFail(2)
  t.same([await countOf(ada), await countOf(bob), await waiting()], [1, 1, 2])
  await bridge.start()
  await eventually('the log has both', async () => await waiting() === 0)
  t.same([await logged('ada'), await logged('bob')], [1, 1])
  t.same([await countOf(ada), await countOf(bob)], [1, 1])
})

t.test('more notices than one turn takes are all mailed while ClickHouse is away', async () => {
  const carol = await protect('carol')
  await eventually('nothing waits', async () => await waiting() === 0)
  await bridge.kill()
  const [key] = (await service.redis.keys('assent:*:security-log-told')).map(told => told.replace(/-told$/, ''))
  const security = await service.redis.hget((await service.redis.keys('assent:*:security:carol'))[0]!, 'mail_to')
  const fill = service.redis.pipeline()
  for (let index = 0; index < 250; index++) {
    fill.xadd(key!, '*', 'entry', JSON.stringify({
      event_id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`, account_id: 'carol', kind: 'backup_code_used', at: Date.now(), actor: 'user', reason: null, remaining: 5, effective_at: null, mail_to: security
    }))
  }
  await fill.exec()
  await eventually('all came', async () => await countOf(carol) === 250)
  await bridge.start()
})
