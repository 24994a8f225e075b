/** `npm run bench`: measures what the README quotes and prints one table of medians and ratios. */
import { parseArgs } from 'node:util'
import { measureAccept } from './accept.ts'
import { measureBacklog } from './backlog.ts'
import type { Options } from './part.ts'
import { measureMemory } from './memory.ts'
import { measureProcesses } from './more-cores.ts'
import { measureOverload } from './overload.ts'
import { measurePrivacy } from './privacy.ts'
import { measureProfile } from './profile.ts'
import { measureStore } from './store.ts'
import { renderTable, type Row } from './table.ts'
import { eventsPerBatch } from './traffic.ts'
import { measureVerify } from './verify.ts'

const parts: Readonly<Record<string, (options: Options) => Promise<Row[]>>> = {
  accept: measureAccept, store: measureStore, memory: measureMemory, profile: measureProfile, overload: measureOverload, processes: measureProcesses, verify: measureVerify, backlog: measureBacklog, privacy: measurePrivacy
}
const partsByDefault = 'accept,store,memory,profile,processes,verify'

const help = `Usage: npm run bench -- [--only=${partsByDefault}] [--runs=5] [--seconds=4] [--batches=12000] [--codes=40]
       npm run bench -- --only=privacy [--runs=5] [--accounts=1000000]
       npm run bench -- --only=overload,backlog [--seconds=4] [--batches=12000] [--backlog=5000000]

Measures accepted and stored events per second, what Redis keeps for them, and verifications per second
with what they cost intake, each against the bare thing in alternating runs, and prints medians and ratios.
Takes some ten minutes; uses only this machine. How fast the privacy team is answered, what an overload of a
minute does, and how fast a backlog is worked off, is measured only when asked for: it takes long, and several GB.
  --only     the parts to measure, of ${Object.keys(parts).join(', ')}
  --runs     alternating runs of each
  --seconds  length of one run of the accept benchmark
  --batches  batches of ${String(eventsPerBatch)} events in one run of the store benchmark
  --codes    backup codes in one run of the verify benchmark
  --accounts accounts of the privacy benchmark, with 10 ledger entries and 20 events each
  --backlog  events that wait when the backlog benchmark has the writer go on
  --flame    a file for the flame graph of the profile, an SVG; npm run flame draws that of the documentation
`

/** @throws with one clear line when an argument is of no use */
function readArguments (): { chosen: string[], options: Options } | undefined {
  const text = (value: string): { type: 'string', default: string } => ({ type: 'string', default: value })
  const { values } = parseArgs({
    options: {
      only: text(partsByDefault), runs: text('5'), seconds: text('4'), batches: text('12000'), codes: text('40'), accounts: text('1000000'), backlog: text('5000000'), flame: text(''), help: { type: 'boolean', default: false }
    }
  })
  if (values.help) return undefined
  const chosen = values.only.split(',')
  const unknown = chosen.find(name => !Object.hasOwn(parts, name))
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}; see --help`)
  const number = (name: 'runs' | 'seconds' | 'batches' | 'codes' | 'accounts' | 'backlog'): number => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`)
    return value
  }
  return { chosen, options: { runs: number('runs'), seconds: number('seconds'), batches: number('batches'), codes: number('codes'), accounts: number('accounts'), backlog: number('backlog'), flame: values.flame, say } }
}

function say (text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

async function run ({ chosen, options }: { chosen: string[], options: Options }): Promise<void> {
  const rows: Row[] = []
  for (const [name, measure] of Object.entries(parts).filter(([name]) => chosen.includes(name))) {
    say(`${name}: starting…`)
    rows.push(...await measure(options))
  }
  process.stdout.write(`\n${renderTable(rows)}`)
  const apart = rows.filter(({ spread }) => spread > 0.3).map(({ what, spread }) => `  ${what}: by ${(spread * 100).toFixed(0)} % of the median\n`)
  if (apart.length > 0) process.stdout.write(`\nRuns of the same thing lay far apart, as they do on a busy machine:\n${apart.join('')}`)
}

process.once('SIGINT', () => { process.exit(130) })
try {
  const asked = readArguments()
  if (asked === undefined) process.stdout.write(help)
  else await run(asked)
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`)
  process.exit(1)
}
