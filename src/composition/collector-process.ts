/** One of the collectors that share a port. When to serve and when to end is told by the process that started it. */
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { makeQuestions, type FromCollector, type Rendered, type ToCollector } from './process-messages.ts'
import { startService, type Service } from './service.ts'

/** Longer than the process that started this one waits for all to tell theirs. */
const renderedWithinMs = 7000

/** Runs until it is told to close; ends the process. */
export function runCollectorProcess (config: Config, logger: Logger): void {
  // A signal may reach the whole group. It is the first process that acts on it, in its order.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})

  const tell = (message: FromCollector, sent?: () => void): void => { process.send?.(message, undefined, undefined, sent) }
  const questions = makeQuestions<Rendered>(renderedWithinMs)
  const renderAll = async (): Promise<Rendered> => {
    const rendered = await questions.ask(id => { tell({ say: 'render', id }) })
    if (rendered === undefined) throw new Unavailable('the sum of the metrics')
    return rendered
  }

  let service: Service | undefined
  let leaving = false
  const leave = (): void => {
    leaving = true
    service?.leave()
  }
  const close = (): void => {
    const closed = service?.close() ?? Promise.resolve()
    void closed.then(() => { process.exit(0) }, () => { process.exit(1) })
  }
  process.on('message', (message: ToCollector) => {
    switch (message.say) {
      case 'leave': leave(); break
      case 'close': close(); break
      case 'rendered': questions.answered(message.id, message.rendered); break
      case 'tell-metrics': {
        const { id } = message
        void service?.families().catch(() => undefined).then(families => { tell({ say: 'metrics', id, families }) })
      }
    }
  })

  startService(config, logger, renderAll).then(started => {
    service = started
    if (leaving) leave()
    tell({ say: 'started', url: started.url })
  }, (error: unknown) => {
    tell({ say: 'refused', line: (error as Error).message.split('\n', 1)[0] ?? 'unknown' }, () => { process.exit(1) })
  })
}
