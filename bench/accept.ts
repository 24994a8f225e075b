/** How many events per second one collector accepts, against a bare server that does nothing with them. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median, spreadOf } from './figures.ts'
import { postForSeconds } from './load.ts'
import { connections, type Options } from './part.ts'
import { agreeingToken } from './people.ts'
import { runServer, withTemporaryDir, type Running } from './processes.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

/** The collector works on the Redis and the directory of a whole service, whose writer is paused. */
export async function measureAccept ({ runs, seconds, say }: Options): Promise<Row[]> {
  return await withTemporaryDir(async dir => {
    const whole = await runServer('src/main.ts', { DATA_DIR: dir })
    const token = await agreeingToken(whole.url)
    const redis = `unix://${join(dir, 'redis', 'redis.sock')}`
    const collector = await runServer('src/main.ts', { DATA_DIR: dir, ROLE: 'collector', REDIS_URL: redis })
    const bare = await runServer('bench/bare-server.ts')
    process.kill(whole.pid, 'SIGSTOP') // The queue grows meanwhile: only intake is measured.
    const measure = async ({ url }: Running): Promise<number> => {
      const { requestsPerSecond, refused } = await postForSeconds({ url, token, bodies: makeBatchTexts(40), connections, seconds })
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
    return [{
      what: 'accepted events/s, fsynced, one collector',
      value: median(ours),
      unit: 'events/s',
      against: { what: 'bare Fastify, same body', value: median(theirs) },
      target: { ratioAtLeast: 0.25 },
      spread: spreadOf(ours, theirs)
    }]
  })
}
