import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { inGroups } from '../../src/redis/group-commit.ts'

interface Sending { group: readonly string[], done: () => void, fail: (error: Error) => void }

function stage (roundsMax: number, patienceMs = 10_000): { give: (item: string) => Promise<string>, sent: Sending[], groups: () => string[] } {
  const sent: Sending[] = []
  const give = inGroups<string, string>({
    send: async group => {
      await new Promise<void>((done, fail) => { sent.push({ group, done, fail }) })
      return group.map(item => item.toUpperCase())
    },
    sizeOf: item => item.length, sizeMax: 10, itemsMax: 3, roundsMax, patienceMs
  })
  return { give, sent, groups: () => sent.map(({ group }) => group.join()) }
}
const turn = async (): Promise<void> => { await sleep(5); await setImmediate() }

t.test('what is given in one turn goes together at once, what is given meanwhile next', async t => {
  const { give, sent, groups } = stage(1)
  const first = ['a', 'b'].map(give)
  await turn()
  t.same(groups(), ['a,b'])
  const second = ['c', 'd'].map(give)
  await turn()
  t.same(groups(), ['a,b'], 'one round is under way')
  sent[0]!.done()
  t.same(await Promise.all(first), ['A', 'B'], 'each with its own result')
  await turn()
  t.same(groups(), ['a,b', 'c,d'])
  sent[1]!.done()
  await Promise.all(second)
})

t.test('a group is bounded by size and number, and all groups of a round go at once', async t => {
  const { give, sent, groups } = stage(1)
  const given = ['a', 'b', 'c', 'd', 'eeeeeeeee', 'ffffffffffffff', 'g'].map(give)
  await turn()
  t.same(groups(), ['a,b,c', 'd,eeeeeeeee', 'ffffffffffffff', 'g'])
  for (const { done } of sent) done()
  await Promise.all(given)
})

t.test('each ends as its group does', async t => {
  const { give, sent } = stage(2)
  const given = ['a', 'b', 'c', 'd', 'e'].map(give)
  await turn()
  sent[1]!.fail(new Error('refused'))
  sent[0]!.done()
  t.same((await Promise.allSettled(given)).map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
  const next = give('f')
  await turn()
  sent[2]!.done()
  await next
})

t.test('a round that hangs is not waited for', async t => {
  const { give, sent, groups } = stage(1, 20)
  const hanging = give('a')
  await turn()
  const given = give('b')
  while (sent.length < 2) await turn()
  t.same(groups(), ['a', 'b'])
  sent[1]!.done()
  await given
  sent[0]!.fail(new Error('too late'))
  await t.rejects(hanging, { message: 'too late' })
})
