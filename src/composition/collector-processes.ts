/** Several collectors that share one port: starts them, starts one anew that has ended, adds up their metrics, and ends them. */
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { makeMetricsServer } from '../http/metrics-server.ts'
import { makeSummedMetrics, type Families } from '../metrics/summed.ts'
import { listen } from './listen.ts'
import { makeQuestions, type FromCollector, type Questions, type Rendered, type ToCollector } from './process-messages.ts'
import type { Service } from './service.ts'
import { share } from './share.ts'

interface Collector {
  /** The URL that it serves. Rejects with the reason when it ends before. */
  started: Promise<string>
  /** With how it ended: a signal, or `exit` and its code. */
  ended: Promise<string>
}

/** Redis may take two seconds not to answer. */
const toldWithinMs = 5000
const inOrder = 'exit 0'
const restart = { firstAfterMs: 100, afterMaxMs: 10_000, forgottenAfterMs: 60_000 }

/** Resolves when all serve. @throws what the first of them throws that cannot start */
export async function startCollectorProcesses (config: Config, logger: Logger): Promise<Pick<Service, 'url' | 'metricsUrl' | 'leave' | 'close'>> {
  const stopping = new AbortController()
  const living = new Map<number, { worker: Worker, questions: Questions<Families> }>()
  const metrics = makeSummedMetrics(config.COLLECTOR_PROCESSES)
  let url = ''
  let port = config.PORT

  const tell = (worker: Worker, message: ToCollector): void => {
    if (worker.isConnected()) worker.send(message, () => {}) // It may end just now.
  }
  const tellAll = (message: ToCollector): void => {
    for (const { worker } of living.values()) tell(worker, message)
  }

  const render = share(async (): Promise<Rendered> => {
    const current = new Set<number>()
    await Promise.all([...living].map(async ([id, { worker, questions }]) => {
      const families = await questions.ask(question => { tell(worker, { say: 'tell-metrics', id: question }) })
      if (families === undefined || !living.has(id)) return
      metrics.told(id, families)
      current.add(id)
    }))
    return await metrics.render(current)
  })

  const start = (): Collector => {
    // All that ask for port 0 get the same one, as long as one of them has it. If none has, it is asked for again.
    if (config.PORT === 0 && living.size === 0 && url !== '') port = Number(new URL(url).port)
    const worker = cluster.fork({ PORT: String(port) })
    const questions = makeQuestions<Families>(toldWithinMs)
    living.set(worker.id, { worker, questions })
    const ended = new Promise<string>(resolve => {
      const end = (how: string): void => {
        living.delete(worker.id)
        metrics.ended(worker.id)
        questions.giveUp()
        resolve(how)
      }
      worker.once('exit', (code: number | null, signal: string | null) => { end(signal ?? `exit ${String(code)}`) })
      worker.once('error', (error: NodeJS.ErrnoException) => { end(error.code ?? error.name) }) // It could not be started.
    })
    const started = new Promise<string>((resolve, reject) => {
      worker.on('message', (message: FromCollector) => {
        switch (message.say) {
          case 'started': resolve(message.url); break
          case 'refused': reject(new Error(message.line)); break
          case 'metrics': questions.answered(message.id, message.families); break
          case 'render': {
            const { id } = message
            void render().catch(() => undefined).then(rendered => { tell(worker, { say: 'rendered', id, rendered }) })
          }
        }
      })
      void ended.then(how => { reject(new Error(`a collector process ended before it served (${how})`)) })
    })
    started.catch(() => {}) // Of one that is started anew only the end is awaited.
    return { started, ended }
  }

  /** Starts it anew as often as it ends by itself, each time later. Gives how it ended when it was told to. */
  const keepUp = async (collector: Collector): Promise<string> => {
    let current = collector
    let waitMs = restart.firstAfterMs
    for (;;) {
      const startedAt = performance.now()
      const how = await current.ended
      if (stopping.signal.aborted) return how
      const refusal = await current.started.then(() => undefined, (error: unknown) => (error as Error).message)
      metrics.trouble('collector-restarted')
      logger.warn({ what: 'collector-restarted', kind: refusal ?? how }, 'trouble.noticed')
      if (performance.now() - startedAt > restart.forgottenAfterMs) waitMs = restart.firstAfterMs
      const isStopped = await sleep(waitMs, false, { signal: stopping.signal }).catch(() => true)
      if (isStopped) return inOrder
      waitMs = Math.min(2 * waitMs, restart.afterMaxMs)
      current = start()
    }
  }

  process.on('exit', () => {
    for (const { worker } of living.values()) worker.process.kill('SIGKILL')
  })
  // JSON knows no NaN, which is what nothing measured yet comes to.
  cluster.setupPrimary({ serialization: 'advanced' })
  const metricsServer = config.METRICS_PORT === undefined ? undefined : makeMetricsServer(render)
  const metricsUrl = metricsServer === undefined ? undefined : `${await listen(metricsServer, config.HOST, 'METRICS_PORT', config.METRICS_PORT ?? 0)}/metrics`

  // The first makes sure that there is nothing wrong; what is, is then told once.
  const first = start()
  url = await first.started
  const collectors = [first, ...Array.from({ length: config.COLLECTOR_PROCESSES - 1 }, start)]
  await Promise.all(collectors.map(async ({ started }) => await started))
  const kept = Promise.all(collectors.map(keepUp))

  const leave = (): void => {
    stopping.abort()
    tellAll({ say: 'leave' })
  }
  return {
    url,
    metricsUrl,
    leave,
    async close () {
      leave()
      tellAll({ say: 'close' })
      const ends = await kept
      await metricsServer?.close()
      if (ends.some(how => how !== inOrder)) throw new Error('a collector process has not ended in order')
    }
  }
}
