/** `npm run test:hostile`: a long run against a service of its own, and what came of it in one table. */
import { parseArgs } from 'node:util'
import { fuzz, type FuzzReport } from './fuzz.ts'

const help = `Usage: npm run test:hostile -- [--requests=100000] [--seed=1]

Sends requests of every operation in /openapi.json to a service that it starts, most of them with something wrong: who
asks, the address, a header, a value, the JSON text, its bytes, its coding, or bytes on a bare socket. Judges every
answer, and at the end what was stored and what was logged. Exit code 1 when anything is not as promised.
  --requests  how many
  --seed      the same seed sends the same requests, but for ids, times and tokens
`

function readArguments (): { requests: number, seed: number } | undefined {
  const { values } = parseArgs({ options: { requests: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' }, help: { type: 'boolean', default: false } } })
  if (values.help) return undefined
  const number = (name: 'requests' | 'seed'): number => {
    const value = Number(values[name])
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`)
    return value
  }
  return { requests: number('requests'), seed: number('seed') }
}

function renderReport ({ answers, faults, requests, seconds, eventsStored, eventsRefused, logLines, peakMiB, toldToComeBack }: FuzzReport): string {
  const rows = [...answers].sort(([a], [b]) => a < b ? -1 : 1).map(([operation, statuses]) => {
    const sum = [...statuses.values()].reduce((a, b) => a + b)
    return `| ${operation} | ${String(sum)} | ${[...statuses].sort().map(([status, count]) => `${status}: ${String(count)}`).join(', ')} |\n`
  })
  const found = [...faults].map(([fault, { count, example }]) => `  ${fault} (${String(count)} times)\n    ${example}\n`)
  return `| operation | requests | answers |\n|---|---|---|\n${rows.join('')}
${String(requests)} requests in ${seconds.toFixed(0)} s; ${String(eventsStored)} events stored, ${String(eventsRefused)} refused; ${String(logLines)} lines of log; at most ${String(peakMiB)} MiB of memory; ${String(toldToComeBack)} answers of 503 that were followed by another
${faults.size === 0 ? 'Everything was as promised.' : `Not as promised:\n${found.join('')}`}
`
}

const teardowns: Array<() => unknown> = []
const cleanUp = async (): Promise<void> => { for (const teardown of teardowns.splice(0).reverse()) await teardown() }
const say = (text: string): void => { process.stderr.write(`hostile: ${text}\n`) }
process.once('SIGINT', () => { void cleanUp().finally(() => process.exit(130)) })
try {
  const asked = readArguments()
  if (asked === undefined) process.stdout.write(help)
  else {
    say(`seed ${String(asked.seed)}; starting the service…`)
    const report = await fuzz({ teardown: (teardown: () => unknown) => { teardowns.push(teardown) } }, { ...asked, say })
    process.stdout.write(renderReport(report))
    if (report.faults.size > 0) process.exitCode = 1
  }
} catch (error) {
  say((error as Error).message)
  process.exitCode = 1
} finally {
  await cleanUp()
}
