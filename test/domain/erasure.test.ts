import t from 'tap'
import type { Purpose } from '../../src/domain/catalog.ts'
import { emptyRecord, type Choice, type ConsentRecord } from '../../src/domain/consent.ts'
import { mayMeetErased } from '../../src/domain/erasure.ts'

const purpose = (id: string, onWithdrawal: 'keep' | 'erase'): Purpose => ({ id, title: '', description: '', required: false, legalBasis: '', onWithdrawal })
const catalog = { purposes: [purpose('kept', 'keep'), purpose('erased', 'erase')] }
const choice = (fields: Partial<Choice>): Choice => ({ state: 'granted', since: 1, deniedUntil: 0, entry: '', ...fields })
const may = (fields: Partial<ConsentRecord>): boolean[] => {
  const record = { ...emptyRecord, ...fields }
  return [mayMeetErased({ account: record, deviceAlone: undefined }, catalog), mayMeetErased({ account: emptyRecord, deviceAlone: record }, catalog)]
}

t.test('an event is asked about only where something of its owner may have been erased', async t => {
  t.same(may({ erasedAt: 1 }), [true, true])
  t.same(may({ account: { erased: choice({ state: 'denied' }) } }), [true, true])
  t.same(may({ account: { erased: choice({ deniedUntil: 5 }) } }), [true, true], 'under a new yes')
  t.same(may({ devices: { pc: { erased: choice({ state: 'cleared', deniedUntil: 5 }) } } }), [true, true])

  t.same(may({}), [false, false])
  t.same(may({ account: { erased: choice({}) }, devices: { pc: { erased: choice({ state: 'cleared' }) } } }), [false, false], 'never withdrawn')
  t.same(may({ account: { kept: choice({ state: 'denied' }), unknown: choice({ state: 'denied' }) } }), [false, false], 'the purpose keeps')
  t.equal(mayMeetErased({ account: undefined, deviceAlone: undefined }, catalog), false)
})
