import t from 'tap'
import { keyIn, partitionOf, wholeKey } from '../../src/redis/keys.ts'
import { signIn, type Answer, type Person } from '../support/api.ts'
import { asTeam, edit, meddle, remove } from '../support/meddle.ts'
import { eventually, startTestService } from '../support/service.ts'
import { bob, cases, copyOf } from './tamperings.ts'

const service = await startTestService(t)
const team = asTeam(service)
const verify = async (body?: unknown): Promise<Answer> => await team('POST', 'ledger/verify', body)
const verdict = async (): Promise<Record<string, any>> => (await verify()).body

const names = ['ada', 'bob', 'eve']
const people: Person[] = []
for (const name of names) {
  const person = await signIn(service, name, 'product_analytics')
  for (const decision of ['denied', 'granted', 'denied']) await person.choose({ product_analytics: decision })
  people.push(person)
}

// What lies there twice stays there twice, so that each case is the same whenever it is looked at.
await meddle(service, ['max', 'min'].map(free => `ALTER TABLE consent_ledger MODIFY SETTING max_bytes_to_merge_at_${free}_space_in_pool = 1`))

const checkpoints = async (): Promise<Array<Record<string, any>>> => await service.sql('SELECT * FROM ledger_checkpoints ORDER BY at')

t.test('a ledger as it was written is whole, and the check of it is signed', async t => {
  const { status, body } = await verify()
  t.equal(status, 200)
  t.match(body, { checked: 12, unplaced: 0, ok: true, checkpoints: { ok: true }, ledger_head: { entries: 12 } })
  t.notOk('first_bad' in body)
  t.match((await checkpoints()).at(-1), { signature: /^[0-9a-f]{64}$/ })
  const [line] = service.logs.filter(line => line.includes('ledger.checkpointed')).map(line => JSON.parse(line) as Record<string, any>)
  t.same(Object.keys(line!).filter(name => !['level', 'time', 'pid', 'hostname', 'msg'].includes(name)).sort(), ['sequences', 'signature'])
  t.match(await verify({}), { status: 200, body: { ok: true, checkpoints: { checked: (await checkpoints()).length } } })
})

t.test('one account\'s part can be verified alone', async t => {
  t.match(await verify({ account_id: 'ada' }), { status: 200, body: { checked: 4, ok: true, ledger_head: { entries: 12 } } })
  t.match(await verify({ device_id: 'pc-ada' }), { status: 200, body: { checked: 0, ok: true } })
})

t.test('who may not read has nothing verified, and a wrong shape is refused', async t => {
  t.match(await asTeam(service, 'settings telemetry:write')('POST', 'ledger/verify'), { status: 403, body: { type: '/problems/insufficient-scope' } })
  t.equal((await asTeam(service, 'privacy:read')('POST', 'ledger/verify')).status, 200)
  for (const body of [{ account_id: 1 }, { account_id: '' }, { account_id: 'a', device_id: 'b' }, { device_id: 'a b' }, { all: true }, [], 'x', 1]) {
    t.match(await verify(body), { status: 400 }, JSON.stringify(body))
  }
})

// Each is made good as the next is done: the service stands still while the table is meddled with.
let toUndo: readonly string[] = []
for (const { what, done, shows, checkpointsOk = true, undone, alone } of cases) {
  t.test(`${what} shows`, async t => {
    await meddle(service, [...toUndo, ...done])
    toUndo = undone
    t.match(await verdict(), { ok: false, first_bad: shows, checkpoints: { ok: checkpointsOk } })
    if (alone !== undefined) t.match((await verify(alone)).body, { ok: false, first_bad: shows })
    t.match((await verify({ account_id: 'ada' })).body, { ok: true }, 'and only there')
  })
}

t.test('what was made good is whole again', async t => {
  await meddle(service, toUndo)
  t.match(await verdict(), { ok: true, checked: 12 })
})

t.test('an entry that cannot be read is shown without what cannot be', async t => {
  for (const via of ['garbage', '5', '{"product":"cad"}', 'null', `{"product":"cad","release":1,"device_id":null,"more":${'['.repeat(20_000)}${']'.repeat(20_000)}}`]) {
    await meddle(service, [...copyOf(bob(2)), edit(`via = '${via}'`, bob(2))])
    const { status, body } = await team('GET', 'ledger?account_id=bob')
    t.equal(status, 200)
    t.match(body['entries'], [{ revision: 1 }, { revision: 2, via: null, decision: 'denied' }, {}, {}])
    t.match(await verify(), { status: 200, body: { ok: false, first_bad: { what: 'hash', revision: 2 } } })
    t.match(await service.call('GET', '/v1/me/privacy/history', { token: people[1]!.token }), { status: 200 })
    await meddle(service, [remove(bob(2)), 'INSERT INTO consent_ledger SELECT * FROM kept'])
  }
  t.match(await verdict(), { ok: true })
})

const recordOf = (name: string): string => keyIn(partitionOf(`a:${name}`), 'consent', `a:${name}`)
const countOf = (name: string): string => keyIn(partitionOf(`a:${name}`), 'ledger-count')

/** What is put in the place of something that Redis holds, and what of that shows. */
const inRedis: Array<{ what: string, key: string, put: (held: string) => string, shows: Record<string, unknown>, checkpointsOk?: boolean }> = [
  { what: 'a denial that became a grant', key: recordOf('bob'), put: held => held.replace('["d"', '["g"'), shows: { what: 'state', subject: { kind: 'account', id: 'bob' } } },
  { what: 'a choice that was forgotten', key: recordOf('bob'), put: held => JSON.stringify({ ...JSON.parse(held), a: {} }), shows: { what: 'state', subject: { kind: 'account', id: 'bob' } } },
  { what: 'a record that was forgotten', key: recordOf('bob'), put: () => '{"rev":0,"head":"","a":{},"d":{}}', shows: { what: 'state', subject: { kind: 'account', id: 'bob' } } },
  { what: 'a record that cannot be read', key: recordOf('bob'), put: () => 'garbage', shows: { what: 'state', subject: { kind: 'account', id: 'bob' } } },
  { what: 'a record that holds no choices', key: recordOf('bob'), put: () => '{"rev":4}', shows: { what: 'state', subject: { kind: 'account', id: 'bob' } } },
  { what: 'a count that went back', key: countOf('bob'), put: held => String(Number(held) - 1), shows: { what: 'count_behind' }, checkpointsOk: false },
  { what: 'a count that is none', key: countOf('bob'), put: () => 'garbage', shows: { what: 'count_behind' }, checkpointsOk: false },
  { what: 'a checkpoint that cannot be read', key: keyIn(0, 'ledger-checkpoint'), put: () => 'garbage', shows: { what: 'checkpoint_signature' }, checkpointsOk: false },
  { what: 'a checkpoint that is none', key: keyIn(0, 'ledger-checkpoint'), put: () => '[1]', shows: { what: 'checkpoint_signature' }, checkpointsOk: false }
]

for (const { what, key, put, shows, checkpointsOk = true } of inRedis) {
  t.test(`${what} shows`, async t => {
    const held = (await service.redis.get(key))!
    await service.redis.set(key, put(held))
    t.match(await verify(), { status: 200, body: { ok: false, first_bad: shows, checkpoints: { ok: checkpointsOk } } })
    if (key === recordOf('bob')) t.match((await verify({ account_id: 'bob' })).body, { ok: false, first_bad: shows })
    await service.redis.set(key, held)
    t.match(await verdict(), { ok: true, checked: 12 }, 'and is gone once it is made good')
  })
}

t.test('a record that is not what its entries tell is made that by a rebuild', async t => {
  for (const { what, key, put } of inRedis.slice(0, 5)) {
    const held = (await service.redis.get(key))!
    await service.redis.set(key, put(held))
    await service.redis.del(wholeKey) // As when Redis was lost: the service rebuilds by itself.
    await eventually('the record is as it was', async () => await service.redis.get(key) === held && await service.redis.exists(wholeKey) === 1)
    t.match(await verdict(), { ok: true }, what)
  }
})

t.test('an entry that arrived twice is no fault', async t => {
  // Whether ClickHouse merges them before they are looked at is its own affair.
  await meddle(service, ['INSERT INTO consent_ledger SELECT * FROM consent_ledger WHERE subject = \'a:bob\''])
  t.match(await verdict(), { ok: true, checked: 12 })
})

t.test('what was written over an entry shows, even before ClickHouse has merged the two', async t => {
  await meddle(service, [...copyOf(bob(4)), 'INSERT INTO consent_ledger SELECT * REPLACE (\'granted\' AS decision) FROM kept LIMIT 1'])
  t.match(await verdict(), { ok: false, first_bad: { what: 'hash', subject: { kind: 'account', id: 'bob' }, revision: 4 } })
  await meddle(service, [remove(bob(4)), 'INSERT INTO consent_ledger SELECT * FROM kept LIMIT 1'])
  t.match(await verdict(), { ok: true })
})

t.test('entries of before places were given are counted, and are no fault', async t => {
  await meddle(service, [...copyOf('1'), edit('sequence = 0, partition = 0, previous = \'\'', '1'), remove('1', 'ledger_checkpoints')], { wipeRedis: true })
  t.match(await verdict(), { ok: true, checked: 12, unplaced: 12 })
})
