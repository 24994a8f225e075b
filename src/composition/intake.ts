/** Intake: from the body of a posted batch to the text of its answer. */
import { makeAcceptEvents } from '../flows/accept-events.ts'
import type { EventQueue } from '../flows/ports.ts'
import { makeTakeBatch, type TakeBatch } from '../http/take-batch.ts'
import { readTogether } from '../redis/standings-together.ts'
import { startJudging } from './judging.ts'
import type { Parts } from './parts.ts'

export async function startIntake ({ config, schemasDir, catalog, closers, consents, devices, secrets, tell, now, newId }: Parts, queue: EventQueue): Promise<TakeBatch> {
  const limits = {
    wireBytesMax: config.BATCH_BYTES_MAX,
    inflatedBytesMax: config.BATCH_INFLATED_BYTES_MAX,
    eventsPerBatchMax: config.BATCH_EVENTS_MAX,
    eventBytesMax: config.EVENT_BYTES_MAX
  }
  const settings = { schemasDir, pseudonymKey: secrets.pseudonymKey, eventAgeMaxMs: config.MAX_EVENT_AGE, limits }
  const { judge, close } = await startJudging(config.INTAKE_THREADS, catalog, settings, error => { tell('intake-thread-ended', error) })
  closers.push(close)
  return makeTakeBatch(makeAcceptEvents({ readStanding: readTogether(consents), devices, queue, now, newId }), judge, limits)
}
