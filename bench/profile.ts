/** Where a collector spends its time under full load, and how much of that is consent. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { withCollector } from './collector.ts'
import { drawFlames } from './flame.ts'
import { median, spreadOf } from './figures.ts'
import { postForSeconds } from './load.ts'
import { connections, type Options } from './part.ts'
import { withTemporaryDir } from './processes.ts'
import { consentShare, sharesByFolder } from './shares.ts'
import { readStacks, type Stack } from './stacks.ts'
import type { Row } from './table.ts'
import { eventsPerBatch, makeBatchTexts } from './traffic.ts'

/** Of a collector, as `profiler.ts` calls them. */
const threads = ['serving', 'judging']

export async function measureProfile ({ runs, seconds, flame, say }: Options): Promise<Row[]> {
  return await withTemporaryDir(async dir => {
    const files = threads.map(thread => join(dir, `${thread}.json`))
    return await withCollector(0, async ({ url, pid, token, redis }) => {
      const load = { url, token, bodies: makeBatchTexts(40), connections }
      await postForSeconds({ ...load, seconds })
      const seen: Stack[] = []
      const shares: number[] = []
      for (let run = 1; run <= runs; run++) {
        const loaded = postForSeconds({ ...load, seconds: seconds + 2 })
        await sleep(500)
        process.kill(pid, 'SIGUSR2')
        await sleep(seconds * 1000)
        process.kill(pid, 'SIGUSR2')
        const shareOfCommands = await countConsentCommands(redis)
        while (!files.every(existsSync)) await sleep(20)
        await loaded
        const stacks = files.flatMap(file => readStacks(JSON.parse(readFileSync(file, 'utf8'))))
        for (const file of files) rmSync(file)
        for (const stack of stacks) seen.push(stack)
        shares.push(consentShare(stacks, shareOfCommands) * 100)
        say(`profile ${String(run)}/${String(runs)}: ${shares.at(-1)!.toFixed(1)} % for consent, which has ${(shareOfCommands * 100).toFixed(0)} % of the commands`)
      }
      process.stdout.write(`\n${renderShares(seen)}`)
      if (flame !== '') writeFileSync(flame, drawFlames(`A collector under full load, batches of ${String(eventsPerBatch)} events`, seen))
      return [{ what: 'reading consent and deciding by it, of a collector\'s CPU', value: median(shares), unit: '%', target: { atMost: 8 }, spread: spreadOf(shares) }]
    }, { preload: 'bench/profiler.ts', environment: { PROFILE_DIR: dir } })
  })
}

/** Which share of the commands that Redis is sent reads consent: choices, the organisation's policy, and whether Redis is whole. */
async function countConsentCommands (redis: Redis): Promise<number> {
  const monitor = await redis.monitor()
  let [all, ofConsent] = [0, 0]
  monitor.on('monitor', (_time: string, [, key = '']: string[], source: string) => {
    if (source === 'lua') return
    all++
    if (/:(?:consent|policy|whole)(?::|$)/.test(key)) ofConsent++
  })
  await sleep(500)
  monitor.disconnect()
  return ofConsent / all
}

function renderShares (stacks: readonly Stack[]): string {
  const lines = sharesByFolder(stacks).filter(({ share }) => share >= 0.005).map(({ what, share, files }) => `| ${(share * 100).toFixed(0)} % | ${what} | ${files} |\n`)
  return ['| share | of | files of 1 % and more |\n', '|---|---|---|\n', ...lines].join('')
}
