/** Where desktop products post events. */
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import type { BatchElement, EventOutcome, RejectReason } from '../../domain/event.ts'
import type { AcceptEvents } from '../../flows/accept-events.ts'
import type { BatchOwner } from '../../flows/ports.ts'
import type { Caller } from '../../domain/caller.ts'
import { callerOfRequest } from '../auth.ts'
import { readShape } from '../faults.ts'
import type { ScanFinding } from '../json-scan.ts'
import { Problem } from '../problem.ts'
import { deviceIdShape, instantShape, productShape, uuidShape } from '../shapes.ts'

export interface EventRouteOptions {
  acceptEvents: AcceptEvents
  eventsPerBatchMax: number
  eventBytesMax: number
}

const eventShape = z.strictObject({
  id: uuidShape,
  name: z.string().min(1).max(128),
  version: z.int().min(1).max(65_535),
  occurred_at: instantShape,
  properties: z.looseObject({})
})

const envelopeShape = z.strictObject({
  batch_id: uuidShape,
  sent_at: instantShape,
  device_id: deviceIdShape.optional(),
  product: productShape,
  events: z.array(z.unknown()).min(1)
})

const answerShape = z.object({
  batch_id: z.uuid(),
  accepted: z.int(),
  dropped: z.int(),
  rejected: z.int(),
  results: z.array(z.object({
    id: z.string().nullable(),
    index: z.int().optional().meta({ description: 'Place in the batch, where the id could not be read' }),
    outcome: z.enum(['accepted', 'dropped', 'rejected']),
    reason: z.string(),
    detail: z.string().optional(),
    stripped: z.array(z.string()).optional()
  })),
  consent: z.object({ revision: z.int(), stop: z.array(z.string()) })
})

const faultReasons: Readonly<Record<ScanFinding['reason'], RejectReason>> = {
  'duplicate-key': 'duplicate_key',
  'invalid-string': 'invalid_string',
  'invalid-number': 'invalid_number',
  'too-deep': 'invalid_event',
  'forbidden-key': 'invalid_event'
}

export function eventRoutes ({ acceptEvents, eventsPerBatchMax, eventBytesMax }: EventRouteOptions): FastifyPluginAsync {
  return async app => {
    app.post('/v1/events', {
      config: { scope: 'telemetry:write', sheds: true, problems: ['invalid-batch', 'device-mismatch'] },
      // Described for the document; the body is judged by the handler, one event at a time.
      schema: {
        summary: 'Post a batch of events',
        tags: ['products'],
        body: envelopeShape.extend({ events: z.array(eventShape).min(1).max(1000) }),
        response: { 202: answerShape }
      },
      validatorCompiler: () => (value: unknown) => ({ value })
    }, async (request, reply) => {
      const body = request.body as { events?: unknown[] } | null | undefined
      if (Array.isArray(body?.events) && body.events.length > eventsPerBatchMax) throw new Problem('batch-too-large')
      const envelope = readShape(envelopeShape, body)
      if (!envelope.success) throw new Problem('invalid-batch', { errors: envelope.faults })
      const { batch_id: batchId, sent_at: sentAt, device_id: deviceId, product, events } = envelope.data
      // Most batches are smaller than one event may be: then no event needs to be measured.
      const eventMayExceed = request.bodyBytes > eventBytesMax ? eventBytesMax : undefined
      const elements = events.map((event, index) => readElement(event, request.eventFaults?.get(index), eventMayExceed))
      const owner = ownerOf(callerOfRequest(request), deviceId)
      const accepted = await acceptEvents(owner, {
        batchId, sentAt, product: { name: product.name, release: product.release, version: product.version }, elements
      })
      return await reply.code(202).send({
        batch_id: batchId,
        accepted: accepted.accepted,
        dropped: accepted.dropped,
        rejected: accepted.rejected,
        results: accepted.outcomes.flatMap((outcome, index) => showOutcome(outcome, elements[index], index)),
        consent: { revision: accepted.revision, stop: accepted.stop }
      })
    })
  }
}

/** Whose events these are: the token's account, and the device of the token or, where it names none, of the request. */
export function ownerOf (caller: Caller, deviceId: string | undefined): BatchOwner {
  if (caller.deviceId !== undefined && deviceId !== undefined && caller.deviceId !== deviceId) throw new Problem('device-mismatch')
  return { accountId: caller.accountId, deviceId: caller.deviceId ?? deviceId, orgId: caller.orgId, region: caller.region }
}

function readElement (value: unknown, finding: ScanFinding | undefined, bytesMax: number | undefined): BatchElement {
  if (finding !== undefined) return reject(value, faultReasons[finding.reason], finding.pointer)
  const event = readPlainEvent(value) ?? readShape(eventShape, value)
  if (!event.success) {
    const [fault] = event.faults
    return reject(value, 'invalid_event', `${fault?.pointer ?? ''} ${fault?.detail ?? ''}`.trim())
  }
  const { id, name, version, occurred_at: occurredAt, properties } = event.data
  if (bytesMax !== undefined && Buffer.byteLength(JSON.stringify(value)) > bytesMax) return reject(value, 'event_too_large')
  return { event: { id, name, version, occurredAt, properties } }
}

const plainUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const plainTime = /^20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{3})?Z$/

/** Reads an event in its usual form, which `eventShape` would read alike but ten times slower; undefined for any other. */
function readPlainEvent (value: unknown): { success: true, data: z.infer<typeof eventShape> } | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, name, version, occurred_at: occurredAt, properties } = value as Record<string, unknown>
  if (Object.keys(value).length !== 5) return undefined
  if (typeof id !== 'string' || !plainUuid.test(id)) return undefined
  if (typeof name !== 'string' || name.length < 1 || name.length > 128) return undefined
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1 || version > 65_535) return undefined
  if (typeof occurredAt !== 'string' || !plainTime.test(occurredAt)) return undefined
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) return undefined
  return { success: true, data: { id, name, version, occurred_at: Date.parse(occurredAt), properties: properties as Record<string, unknown> } }
}

function reject (value: unknown, reason: RejectReason, detail?: string): BatchElement {
  const id = uuidShape.safeParse((value as { id?: unknown } | null)?.id)
  return { id: id.success ? id.data : null, fault: { outcome: 'rejected', reason, ...(detail === undefined ? {} : { detail }) } }
}

function showOutcome (outcome: EventOutcome, element: BatchElement | undefined, index: number): Array<Record<string, unknown>> {
  if (outcome.outcome === 'accepted' && outcome.reason !== 'duplicate' && !('stripped' in outcome && outcome.stripped.length > 0)) return []
  const id = element?.event?.id ?? (element !== undefined && 'id' in element ? element.id : null)
  return [{ id, ...(id === null ? { index } : {}), ...outcome }]
}
