import { setImmediate as nextRound } from 'node:timers/promises'
import t from 'tap'
import { inTurns } from '../../src/flows/in-turns.ts'

t.test('what comes together is done a few in each round, in its order, and what else there is gets in between', async t => {
  const turn = inTurns(2)
  const seen: string[] = []
  const all = Promise.all(['1', '2', '3', '4', '5'].map(async name => {
    await turn()
    seen.push(name)
  }))
  await Promise.resolve()
  t.same(seen, ['1', '2'], 'the first wait for nothing')
  await nextRound()
  t.same(seen, ['1', '2', '3', '4'])
  await all
  t.same(seen, ['1', '2', '3', '4', '5'])
})

t.test('who comes alone never waits, and who comes while others wait is behind them', async t => {
  const turn = inTurns(1)
  await turn()
  await nextRound()
  let done = false
  void turn().then(() => { done = true })
  await Promise.resolve()
  t.ok(done)

  await nextRound()
  const seen: string[] = []
  const one = turn().then(() => seen.push('first'))
  const two = turn().then(() => seen.push('second'))
  await one
  const three = turn().then(() => seen.push('third'))
  await Promise.all([two, three])
  t.same(seen, ['first', 'second', 'third'])
})
