import t from 'tap'
import { repeat } from '../../src/composition/repeat.ts'

t.test('what is stopped during a turn does not wait for the next', async t => {
  let began = (): void => {}
  let end = (): void => {}
  const beginning = new Promise<void>(resolve => { began = resolve })
  const ending = new Promise<void>(resolve => { end = resolve })
  let turns = 0
  const repeating = repeat(async () => {
    turns++
    began()
    await ending
    return 3_600_000
  }, () => {}, 1000)
  await beginning
  const stopped = repeating.stop()
  end()
  await stopped
  t.equal(turns, 1)
})
