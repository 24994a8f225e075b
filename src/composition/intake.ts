/** Intake: from the body of a posted batch to the text of its answer. */
import { makePseudonym } from '../crypto/keyed-hash.ts'
import { makeAcceptEvents } from '../flows/accept-events.ts'
import type { EventQueue } from '../flows/ports.ts'
import { makeTakeBatch, type TakeBatch } from '../http/take-batch.ts'
import { makeFrameCodec } from '../redis/frame-codec.ts'
import type { Parts } from './parts.ts'

export function makeIntake ({ config, catalog, consents, devices, secrets, now, newId }: Parts, queue: EventQueue): TakeBatch {
  const acceptEvents = makeAcceptEvents({
    catalog, consents, devices, queue, frameCodec: makeFrameCodec(), pseudonym: makePseudonym(secrets.pseudonymKey), eventAgeMaxMs: config.MAX_EVENT_AGE, now, newId
  })
  return makeTakeBatch(acceptEvents, catalog, {
    wireBytesMax: config.BATCH_BYTES_MAX,
    inflatedBytesMax: config.BATCH_INFLATED_BYTES_MAX,
    eventsPerBatchMax: config.BATCH_EVENTS_MAX,
    eventBytesMax: config.EVENT_BYTES_MAX
  })
}
