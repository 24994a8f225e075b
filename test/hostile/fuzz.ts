/** The run: requests in an order that a seed decides, each answer judged, and at the end what is stored. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import type { Owner } from '../start/process.ts'
import type { Batch } from './batches.ts'
import { everyCase, type Case } from './cases.ts'
import { marker } from './hostile-values.ts'
import { makeJudge } from './judge.ts'
import { judgeRaw, rawRequest } from './raw-requests.ts'
import { makeClient, type Received } from './send.ts'
import { makeWorld, type World } from './world.ts'

export interface FuzzOptions {
  seed: number
  requests: number
  say: (text: string) => void
}

export interface FuzzReport {
  /** Answers by operation and status. */
  answers: Map<string, Map<string, number>>
  /** Each thing that is not as promised, once, with an example. */
  faults: Map<string, { count: number, example: string }>
  requests: number
  seconds: number
  eventsStored: number
  eventsRefused: number
  logLines: number
  peakMiB: number
  /** Answers of 503 that were followed by another to the same request. */
  toldToComeBack: number
}

const atOnce = 16
const perRound = 500
const rawShare = 0.05
const answerWithinMs = 60_000
const raw = 'bytes on a socket'
/** On a busy machine Redis may be late: then a client is told to come back. What makes the service say so each time is a fault. */
const attemptsMax = 5

export async function fuzz (owner: Owner, { seed, requests, say }: FuzzOptions): Promise<FuzzReport> {
  const world = await makeWorld(owner)
  const { service } = world
  const judge = makeJudge(world)
  const client = makeClient(atOnce)
  const answers: FuzzReport['answers'] = new Map()
  const faults: FuzzReport['faults'] = new Map()
  const books = { accepted: new Set<string>(), refused: new Set<string>() }
  const earlier = new Set((await service.sql<{ event_id: string }>('SELECT event_id FROM events_v')).map(({ event_id: id }) => id))
  const started = Date.now()
  let toldToComeBack = 0

  const count = (operation: string, status: string): void => {
    const row = answers.get(operation) ?? new Map<string, number>()
    answers.set(operation, row.set(status, (row.get(status) ?? 0) + 1))
  }
  const blame = (operation: string, found: readonly string[], example: string): void => {
    for (const fault of found) {
      const key = `${operation}: an answer ${fault}`
      if (!faults.has(key)) say(key)
      faults.set(key, { example, ...faults.get(key), count: (faults.get(key)?.count ?? 0) + 1 })
    }
  }

  const ask = async (asked: Case): Promise<void> => {
    const batch = asked.batch?.(Date.now())
    const whole: Case = batch === undefined ? asked : { ...asked, body: batch.body }
    const { target, headers, foreign } = world.address(whole)
    const sent = { method: asked.method, target, headers, body: whole.body?.bytes }
    const name = asked.operation.name
    try {
      let answer = await client.send(service.url, sent, answerWithinMs)
      for (let attempt = 1; answer.status === 503 && attempt < attemptsMax; attempt++) {
        toldToComeBack++
        await sleep(attempt * 1000)
        answer = await client.send(service.url, sent, answerWithinMs)
      }
      count(name, String(answer.status))
      if (typeof answer.headers['etag'] === 'string' && asked.operation.path.startsWith('/v1/me/privacy')) world.noteEtag(asked.caller, answer.headers['etag'])
      const found = judge({ asked: whole, target, foreign }, answer)
      if (name === 'POST /v1/events') found.push(...keepBooks(books, asked, batch, answer))
      blame(name, found, describe(sent, asked, answer))
    } catch (error) {
      count(name, 'none')
      blame(name, [`never comes (${(error as NodeJS.ErrnoException).code ?? (error as Error).name})`], describe(sent, asked))
    }
  }
  const askRaw = async (write: (id: string) => string): Promise<void> => {
    const id = randomUUID()
    books.refused.add(id)
    const text = write(id)
    count(raw, 'sent')
    blame(raw, await judgeRaw(service.url, text, answerWithinMs), JSON.stringify(text.slice(0, 600)))
  }

  const cases = everyCase(world.operations)
  for (let done = 0, round = 0; done < requests; round++) {
    const size = Math.min(perRound, requests - done)
    const rawSize = Math.round(size * rawShare)
    const ofRound = (seed * 10_007 + round) | 0
    const tasks = [
      ...fc.sample(cases, { seed: ofRound, numRuns: size - rawSize }).map(one => async () => { await ask(one) }),
      ...fc.sample(rawRequest, { seed: ofRound, numRuns: Math.max(1, rawSize) }).slice(0, rawSize).map(one => async () => { await askRaw(one) })
    ].values()
    await Promise.all(Array.from({ length: atOnce }, async () => { for (const task of tasks) await task() }))
    done += size
    if (!await again(async () => await isWell(world))) faults.set('the service is not alive and ready', { count: 1, example: `after ${String(done)} requests` })
    if (round % 4 === 3) {
      say(`${String(done)} of ${String(requests)} requests, ${(done / (Date.now() - started) * 1000).toFixed(0)}/s, ${String(faults.size)} kinds of faults`)
      if (done < requests) await again(async () => await world.refresh().then(() => true, () => false))
    }
  }
  client.close()
  const seconds = (Date.now() - started) / 1000
  const eventsStored = await checkStored(world, books, earlier, faults)
  const { logLines, peakMiB } = await checkLog(world, faults)
  return { answers, faults, requests, seconds, eventsStored, eventsRefused: books.refused.size, logLines, peakMiB, toldToComeBack }
}

/** Notes which events were accepted, and says where that is not what must become of them. */
function keepBooks (books: { accepted: Set<string>, refused: Set<string> }, { caller }: Case, batch: Batch | undefined, { status, bytes }: Received): string[] {
  if (batch === undefined) return status === 202 && (JSON.parse(bytes.toString()) as { accepted: number }).accepted > 0 ? ['accepts what nobody made to be accepted'] : []
  const { fates, ids } = batch
  if (fates === undefined) {
    for (const id of ids) books.refused.add(id)
    return [400, 413, 415].includes(status) ? [] : [`is ${String(status)} for a batch that is wrong as a whole`]
  }
  if (status !== 202) return [`is ${String(status)} for a batch that is right as a whole`]
  const { results } = JSON.parse(bytes.toString()) as { results: Array<{ id: string | null, outcome: string, reason: string }> }
  const told = new Map(results.map(result => [result.id, result]))
  return [...fates].flatMap(([id, fate]) => {
    const expected = fate === 'optional' ? caller === 'mia' ? 'accepted' : 'dropped' : fate
    // What cannot be read has no id: it is told of by its place.
    const found = told.get(id)?.outcome ?? (expected === 'rejected' && told.has(null) ? 'rejected' : 'accepted')
    books[expected === 'accepted' ? 'accepted' : 'refused'].add(id)
    return found === expected ? [] : [`says ${found} of an event that is to be ${expected} (${told.get(id)?.reason ?? 'nothing'})`]
  })
}

/** Asks until the answer is yes, as often as a request is tried. */
async function again (ask: () => Promise<boolean>): Promise<boolean> {
  for (let attempt = 1; attempt < attemptsMax; attempt++) {
    if (await ask()) return true
    await sleep(attempt * 1000)
  }
  return await ask()
}

async function isWell ({ service }: World): Promise<boolean> {
  const [live, ready] = await Promise.all([service.call('GET', '/health/live'), service.call('GET', '/health/ready')])
  return live.status === 200 && live.body['live'] === true && ready.status === 200
}

/** What is stored is what was accepted, and nothing that was not. */
async function checkStored ({ service }: World, { accepted, refused }: { accepted: Set<string>, refused: Set<string> }, earlier: Set<string>, faults: FuzzReport['faults']): Promise<number> {
  const stored = async (): Promise<string[]> => (await service.sql<{ event_id: string }>('SELECT event_id FROM events_v')).map(({ event_id: id }) => id).filter(id => !earlier.has(id))
  let ids = await stored()
  for (let attempt = 0; attempt < 150 && ids.length < accepted.size; attempt++) {
    await sleep(200)
    ids = await stored()
  }
  const found = new Set(ids)
  const wrong = {
    'events are stored that were refused': ids.filter(id => refused.has(id)),
    'events are stored that nobody had accepted': ids.filter(id => !accepted.has(id) && !refused.has(id)),
    'accepted events are not stored': [...accepted].filter(id => !found.has(id)),
    'events are counted twice': ids.length === found.size ? [] : ['']
  }
  for (const [fault, which] of Object.entries(wrong)) if (which.length > 0) faults.set(fault, { count: which.length, example: which[0]! })
  return found.size
}

/** Ends the service: it must do so in order, and its log must be what a log is. */
async function checkLog ({ service }: World, faults: FuzzReport['faults']): Promise<{ logLines: number, peakMiB: number }> {
  const peakKiB = Number(/VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${String(service.pid)}/status`, 'utf8'))?.[1])
  const { code, stdout, stderr } = await service.end('SIGTERM')
  if (code !== 0) faults.set('the service does not end in order', { count: 1, example: `${String(code)} ${stderr.slice(-300)}` })
  const lines = stdout.split('\n').filter(line => line.startsWith('{'))
  const isPlain = (line: string): boolean => {
    try {
      const { msg, stack } = JSON.parse(line) as { msg?: unknown, stack?: unknown }
      return /^[a-z]+\.[a-z-]+$/.test(String(msg)) && stack === undefined
    } catch {
      return false
    }
  }
  const wrong = {
    'a line of the log is not one plain JSON object': lines.filter(line => !isPlain(line)),
    'the log shows what was sent': `${stdout}\n${stderr}`.split('\n').filter(line => line.includes(marker)),
    'the log names who called': lines.filter(line => /eyJ|@example|"(?:ada|grace|mia|nico|tom|olga)"/.test(line))
  }
  for (const [fault, which] of Object.entries(wrong)) if (which.length > 0) faults.set(fault, { count: which.length, example: which[0]!.slice(0, 500) })
  return { logLines: lines.length, peakMiB: Math.round(peakKiB / 1024) }
}

function describe ({ method, target, headers, body }: { method: string, target: string, headers: Record<string, string>, body: Buffer | undefined }, { caller, fault }: Case, answer?: Received): string {
  const { authorization: _, ...others } = headers
  const got = answer === undefined ? 'nothing' : `${String(answer.status)} ${answer.bytes.toString().slice(0, 400)}`
  return `${caller}, wrong: ${fault}; ${method} ${target.slice(0, 300)} ${JSON.stringify(others).slice(0, 300)} ${body === undefined ? '' : JSON.stringify(body.toString('latin1').slice(0, 400))} → ${got}`
}
