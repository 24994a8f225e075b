/** How many events per second reach ClickHouse, against inserting the same rows and nothing else. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { median, spreadOf } from './figures.ts'
import { postOnce } from './load.ts'
import { connections, type Options } from './part.ts'
import { agreeingToken } from './people.ts'
import { runServer, withTemporaryDir } from './processes.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

/** All roles in one process; the clock runs from the first request until the last row is stored. */
export async function measureStore ({ runs, batches, say }: Options): Promise<Row[]> {
  const [ours, theirs]: [number[], number[]] = [[], []]
  for (let run = 1; run <= runs; run++) {
    theirs.push(await withTemporaryDir(async dir => await insertDirectly(dir, batches)))
    ours.push(await withTemporaryDir(async dir => await storeThroughService(dir, batches)))
    say(`store ${String(run)}/${String(runs)}: ${ours.at(-1)!.toFixed(0)} events/s, direct ${theirs.at(-1)!.toFixed(0)}`)
  }
  return [{
    what: 'stored events/s end to end, all roles in one process',
    value: median(ours),
    unit: 'events/s',
    against: { what: 'direct insert, 50,000-row blocks', value: median(theirs) },
    target: { ratioAtLeast: 0.6 },
    spread: spreadOf(ours, theirs)
  }]
}

async function insertDirectly (dir: string, batches: number): Promise<number> {
  const env = { ...process.env, UV_THREADPOOL_SIZE: '16' }
  return Number((await promisify(execFile)(process.execPath, ['bench/direct-insert.ts', dir, String(batches)], { env })).stdout)
}

async function storeThroughService (dir: string, batches: number): Promise<number> {
  const service = await runServer('src/main.ts', { DATA_DIR: dir })
  const token = await agreeingToken(service.url)
  const bodies = makeBatchTexts(batches)
  const started = performance.now()
  // Not after it, since it ends up to a second after the last answer.
  const posting = postOnce({ url: service.url, token, bodies, connections })
  while (await storedEvents(service.url) < batches * eventsPerBatch) await sleep(50)
  const rate = batches * eventsPerBatch / (performance.now() - started) * 1000
  await posting
  await service.stop()
  return rate
}

export async function storedEvents (url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^assent_events_stored_total ([0-9.e+]+)$/m.exec(text)?.[1] ?? 0)
}
