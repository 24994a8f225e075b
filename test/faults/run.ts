/** `npm run test:faults`: makes faults, and holds what is stored against what was promised. */
import { parseArgs } from 'node:util'
import type { Form, Outcome, Scenario } from './scene.ts'
import { clock } from './scenarios/clock.ts'
import { consent } from './scenarios/consent.ts'
import { controls } from './scenarios/controls.ts'
import { crashPoints } from './scenarios/crash-points.ts'
import { eachStep } from './scenarios/each-step.ts'
import { kills } from './scenarios/kills.ts'
import { outages } from './scenarios/outages.ts'
import { poison } from './scenarios/poison.ts'
import { power } from './scenarios/power.ts'
import { redisDisk } from './scenarios/redis-disk.ts'
import { settings } from './scenarios/settings.ts'
import { renderTable, type Row } from './table.ts'

const scenarios: readonly Scenario[] = [...kills, ...consent, ...settings, ...eachStep, ...crashPoints, ...outages, ...poison, ...redisDisk, ...power, ...clock, ...controls]

const help = `Usage: npm run test:faults -- [--only=NAME,NAME] [--kills=100] [--short] [--seed=N]

Starts the service on stores of its own, makes faults while devices send events, change their mind and
are erased, and holds what is stored against a journal of what they were promised. Ends with a table,
and with exit code 1 when a promise was broken. The long form takes an hour or more.

  --only   these scenarios; also a beginning of names, such as kill
  --kills  how often each scenario of kills kills
  --short  fewer kills and shorter waits, and only the scenarios of the short form unless --only says which
  --seed   repeats the moments and choices of a run; it is in the table's last line

${scenarios.map(({ name, about }) => `  ${name.padEnd(22)} ${about}`).join('\n')}
`

function say (text: string): void {
  process.stderr.write(`faults: ${text}\n`)
}

/** @throws with one clear line when an argument is of no use */
function readArguments (): { chosen: readonly Scenario[], form: Form } | undefined {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, kills: { type: 'string' }, seed: { type: 'string' }, short: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }
  })
  if (values.help) return undefined
  const number = (name: 'kills' | 'seed', without: number): number => {
    const value = Number(values[name] ?? without)
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`)
    return value
  }
  const beginnings = values.only?.split(',')
  const unknown = beginnings?.find(beginning => !scenarios.some(({ name }) => name.startsWith(beginning)))
  if (unknown !== undefined) throw new Error(`there is no scenario ${unknown}; see --help`)
  const chosen = scenarios.filter(({ name, longOnly }) => beginnings === undefined ? !(values.short && longOnly === true) : beginnings.some(beginning => name.startsWith(beginning)))
  return { chosen, form: { seed: number('seed', Math.floor(Math.random() * 1_000_000) + 1), kills: number('kills', values.short ? 3 : 100), short: values.short, say } }
}

async function runOne (scenario: Scenario, form: Form): Promise<Row> {
  const started = performance.now()
  const reason = await scenario.cannot?.()
  if (reason !== undefined) {
    say(`${scenario.name}: skipped, ${reason}`)
    return { name: scenario.name, tookMs: 0, skipped: reason }
  }
  say(`${scenario.name}: ${scenario.about}…`)
  const tell = { ...form, say: (text: string) => { say(`${scenario.name}: ${text}`) } }
  const outcome: Outcome = await scenario.run(tell).catch((error: unknown) => ({ faults: 0, broken: [(error as Error).message] }))
  const tookMs = performance.now() - started
  say(`${scenario.name}: ${outcome.broken.length === 0 ? 'good' : `BROKEN: ${outcome.broken.join(', ')}`} after ${(tookMs / 1000).toFixed(0)} s`)
  return { name: scenario.name, tookMs, outcome }
}

process.once('SIGINT', () => { process.exit(130) })
process.once('SIGTERM', () => { process.exit(143) })
try {
  const asked = readArguments()
  if (asked === undefined) {
    process.stdout.write(help)
  } else {
    const rows: Row[] = []
    for (const scenario of asked.chosen) rows.push(await runOne(scenario, asked.form))
    process.stdout.write(renderTable(rows, asked.form.seed))
    process.exitCode = rows.every(({ outcome }) => outcome === undefined || outcome.broken.length === 0) ? 0 : 1
  }
} catch (error) {
  process.stderr.write(`faults: ${(error as Error).message}\n`)
  process.exitCode = 1
}
