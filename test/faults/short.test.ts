import t from 'tap'
import { consent } from './scenarios/consent.ts'
import { controls } from './scenarios/controls.ts'
import { kills } from './scenarios/kills.ts'

t.setTimeout(300_000)

// `npm run test:faults` has the other scenarios, and many more faults of these.
const short = new Set(['kill-any', 'no-while-held'])

for (const { name, about, run } of [...kills, ...consent, ...controls].filter(({ name }) => short.has(name) || name.startsWith('control-'))) {
  t.test(about, async t => {
    const seed = Math.floor(Math.random() * 1_000_000) + 1
    const { broken, note } = await run({ seed, kills: 2, short: true, keepJournal: false, say: () => {} })
    t.same(broken, [], `npm run test:faults -- --short --only=${name} --seed=${String(seed)}${note === undefined ? '' : `: ${note}`}`)
  })
}
