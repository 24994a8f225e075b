import t from 'tap'
import { share } from '../../src/composition/share.ts'

t.test('however many ask while an answer is made, it is made once; who asks later gets a new one', async t => {
  let made = 0
  let finish = (): void => {}
  const ask = share(async () => {
    made++
    await new Promise<void>(resolve => { finish = resolve })
    return made
  })
  const early = [ask(), ask(), ask()]
  finish()
  t.same(await Promise.all(early), [1, 1, 1])
  const late = ask()
  finish()
  t.equal(await late, 2)
})

t.test('what fails fails for all who wait for it, and not for who asks after them', async t => {
  let made = 0
  const ask = share(async () => {
    if (++made === 1) throw new Error('away')
    return await Promise.resolve(made)
  })
  const early = await Promise.allSettled([ask(), ask()])
  t.same(early.map(({ status }) => status), ['rejected', 'rejected'])
  t.equal(await ask(), 2)
})
