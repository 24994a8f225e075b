/** `npm run bench`: measures what the README quotes and prints one table of ratios. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { postForSeconds, postOnce } from './load.ts'
import { runServer, withTemporaryDir, type Running } from './processes.ts'
import { eventsPerBatch, makeBatchTexts, median } from './traffic.ts'

const help = `Usage: npm run bench -- [--runs=5] [--seconds=4] [--batches=3000]

Measures accepted and stored events per second, each against the bare thing in alternating runs,
and prints medians and ratios. Takes a few minutes; uses only this machine.
  --runs     alternating runs of each
  --seconds  length of one run of the accept benchmark
  --batches  batches of ${String(eventsPerBatch)} events in one run of the store benchmark
`

interface Row { what: string, value: number, unit: string, against: string, bare: number, target: number, spread: number }

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' }, batches: { type: 'string', default: '3000' }, help: { type: 'boolean', default: false }
  }
})
const [runs, seconds, batches] = [values.runs, values.seconds, values.batches].map(Number) as [number, number, number]
const connections = 64
const say = (text: string): void => { process.stderr.write(`bench: ${text}\n`) }

/** A signed-in account that has agreed to everything optional that the traffic holds. */
async function agreeingToken (url: string): Promise<string> {
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<any> => {
    const response = await fetch(url + path, { method, headers: { 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return { headers: response.headers, body: await response.json() }
  }
  const email = 'bench@example.com'
  const { body: { access_token: token } } = await call('POST', '/dev/token', { sub: 'bench', email, scope: 'telemetry:write settings' })
  const authorization = `Bearer ${String(token)}`
  const { body: challenge } = await call('POST', '/v1/verification/challenges', { purpose: 'privacy.update' }, { authorization })
  let code: string | undefined
  while (code === undefined) {
    await sleep(50)
    const { body: letters } = await call('GET', `/dev/inbox?to=${email}`)
    code = /^[0-9]{6}$/m.exec(letters.at(-1)?.text ?? '')?.[0]
  }
  const { body: verified } = await call('POST', `/v1/verification/challenges/${String(challenge.id)}/verify`, { method: 'email', code }, { authorization })
  const { headers } = await call('GET', '/v1/me/privacy', undefined, { authorization })
  await call('PATCH', '/v1/me/privacy', { account: { product_analytics: 'granted' } }, {
    authorization, 'if-match': headers.get('etag'), 'verification-token': verified.verification_token
  })
  return String(token)
}

/** The collector of a service whose Redis and directory are the given; the writer is elsewhere, and paused. */
async function accepting (): Promise<Row> {
  return await withTemporaryDir(async dir => {
    const whole = await runServer('src/main.ts', { DATA_DIR: dir })
    const token = await agreeingToken(whole.url)
    const redis = `unix://${join(dir, 'redis', 'redis.sock')}`
    const collector = await runServer('src/main.ts', { DATA_DIR: dir, ROLE: 'collector', REDIS_URL: redis })
    const bare = await runServer('bench/bare-server.ts')
    process.kill(whole.pid, 'SIGSTOP') // The queue grows meanwhile: only intake is measured.
    const measure = async ({ url }: Running): Promise<number> => {
      const { requestsPerSecond, refused } = await postForSeconds({ url, token, bodies: makeBatchTexts(400), connections, seconds })
      if (refused > 0) throw new Error(`${String(refused)} requests were refused`)
      return requestsPerSecond * eventsPerBatch
    }
    await measure(bare)
    await measure(collector)
    const [ours, theirs]: [number[], number[]] = [[], []]
    for (let run = 1; run <= runs; run++) {
      theirs.push(await measure(bare))
      ours.push(await measure(collector))
      say(`accept ${String(run)}/${String(runs)}: ${ours.at(-1)!.toFixed(0)} events/s, bare ${theirs.at(-1)!.toFixed(0)}`)
    }
    process.kill(whole.pid, 'SIGCONT')
    process.kill(whole.pid, 'SIGKILL') // Its backlog is of no further use.
    await Promise.all([collector.stop(), bare.stop()])
    await sleep(500)
    return { what: 'accepted events/s, fsynced, one collector', value: median(ours), unit: 'events/s', against: 'bare Fastify, same body', bare: median(theirs), target: 0.25, spread: spreadOf(ours, theirs) }
  })
}

async function storing (): Promise<Row> {
  const [ours, theirs]: [number[], number[]] = [[], []]
  for (let run = 1; run <= runs; run++) {
    theirs.push(await withTemporaryDir(async dir => Number((await promisify(execFile)(process.execPath, ['bench/direct-insert.ts', dir, String(batches)], { env: { ...process.env, UV_THREADPOOL_SIZE: '16' } })).stdout)))
    ours.push(await withTemporaryDir(async dir => {
      const service = await runServer('src/main.ts', { DATA_DIR: dir })
      const token = await agreeingToken(service.url)
      const bodies = makeBatchTexts(batches)
      const started = performance.now()
      await postOnce({ url: service.url, token, bodies, connections })
      while (await storedEvents(service.url) < batches * eventsPerBatch) await sleep(20)
      const rate = batches * eventsPerBatch / (performance.now() - started) * 1000
      await service.stop()
      return rate
    }))
    say(`store ${String(run)}/${String(runs)}: ${ours.at(-1)!.toFixed(0)} events/s, direct ${theirs.at(-1)!.toFixed(0)}`)
  }
  return { what: 'stored events/s end to end, all roles in one process', value: median(ours), unit: 'events/s', against: 'direct insert, 50,000-row blocks', bare: median(theirs), target: 0.4, spread: spreadOf(ours, theirs) }
}

async function storedEvents (url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^assent_events_stored_total ([0-9.e+]+)$/m.exec(text)?.[1] ?? 0)
}

/** How far apart the runs of one thing were, as a share of their median; the worse of the two. */
function spreadOf (...series: number[][]): number {
  return Math.max(...series.map(values => (Math.max(...values) - Math.min(...values)) / median(values)))
}

if (values.help) {
  process.stdout.write(help)
} else {
  const rows: Row[] = []
  for (const [name, measure] of [['accept', accepting], ['store', storing]] as const) {
    say(`${name}: starting…`)
    rows.push(await measure())
  }
  process.stdout.write('\n| what | median | against | median | ratio | target |\n|---|---|---|---|---|---|\n')
  for (const { what, value, unit, against, bare, target } of rows) {
    process.stdout.write(`| ${what} | ${value.toFixed(0)} ${unit} | ${against} | ${bare.toFixed(0)} | ${(value / bare).toFixed(2)} | ≥ ${target.toFixed(2)} |\n`)
  }
  const worst = Math.max(...rows.map(row => row.spread))
  if (worst > 0.3) process.stdout.write(`\nThe machine was noisy: runs of the same thing differed by up to ${(worst * 100).toFixed(0)} %.\n`)
}
