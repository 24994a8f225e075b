import { ClickHouseError } from '@clickhouse/client'
import t from 'tap'
import { insertErrorKind } from '../../src/clickhouse/insert-error.ts'
import { Unavailable } from '../../src/domain/unavailable.ts'

const refusal = (code: string): Error => new Unavailable('ClickHouse', { cause: new ClickHouseError({ message: 'secret row', code, type: 'X' }) })

t.test('why an insert failed is told by few words', async t => {
  for (const [code, kind] of [['243', 'disk-full'], ['241', 'memory'], ['252', 'too-many-parts'], ['242', 'read-only'], ['516', 'access'], ['159', 'too-slow'], ['999', 'other']] as const) {
    t.equal(insertErrorKind(refusal(code), false), kind)
  }
  t.equal(insertErrorKind(new Unavailable('ClickHouse', { cause: new Error('ECONNREFUSED') }), false), 'no-answer')
  t.equal(insertErrorKind(refusal('27'), true), 'data')
})
