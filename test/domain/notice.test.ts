import t from 'tap'
import type { Choice } from '../../src/domain/consent.ts'
import { lapsedSince, type Notice } from '../../src/domain/notice.ts'

const publish = (version: string, effectiveFrom: number, material: boolean, purposes: string[] | null = null): Notice =>
  ({ version, effectiveFrom, material, purposes, title: '', text: '', digest: '' })
const notices = [publish('one', 100, false), publish('two', 200, true), publish('three', 300, false), publish('four', 400, true, ['diagnostics'])]
const yes = (since: number, notice?: string): Choice => ({ state: 'granted', since, deniedUntil: 0, entry: 'e', ...(notice === undefined ? {} : { notice }) })
const lapse = (choice: Choice, now: number, purpose = 'product_analytics'): number | undefined => lapsedSince(notices, purpose, choice, now)

t.test('a yes lapses when a material newer notice takes effect, and not before', async t => {
  t.equal(lapse(yes(150, 'one'), 199), undefined)
  t.equal(lapse(yes(150, 'one'), 200), 200)
  t.equal(lapse(yes(150, 'one'), 900), 200, 'at the first of them')
  t.equal(lapse(yes(250, 'one'), 260), 250, 'one that was given later under the old notice never stood')
})

t.test('a yes under the newest material notice stands, whatever came after that is not material', async t => {
  t.equal(lapse(yes(250, 'two'), 900), undefined)
  t.equal(lapse(yes(350, 'three'), 900), undefined)
})

t.test('a notice that is about some purposes leaves the others alone', async t => {
  t.equal(lapse(yes(250, 'two'), 900, 'diagnostics'), 400)
  t.equal(lapse(yes(450, 'four'), 900, 'diagnostics'), undefined)
})

t.test('a yes that names no notice was given under the one of its time; one that names an unknown notice under none', async t => {
  t.equal(lapse(yes(150), 900), 200)
  t.equal(lapse(yes(250), 900), undefined)
  t.equal(lapse(yes(50), 900), 200, 'before any notice')
  t.equal(lapse(yes(250, 'nobody-published-it'), 900), 250)
})

t.test('a no never lapses, and without notices nothing does', async t => {
  t.equal(lapse({ ...yes(150, 'one'), state: 'denied' }, 900), undefined)
  t.equal(lapse({ ...yes(150, 'one'), state: 'cleared' }, 900), undefined)
  t.equal(lapsedSince([], 'product_analytics', yes(150, 'one'), 900), undefined)
})
