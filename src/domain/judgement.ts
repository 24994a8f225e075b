/** What becomes of one event: judged by the catalogue first, then by consent, its gated fields each by their own purpose. */
import type { EventDefinition } from './catalog.ts'
import { decide, type AcceptReason, type DropReason, type Permission } from './consent.ts'
import { propertiesOf, type RejectReason, type SentEvent } from './event.ts'

export type PermissionOf = (purposeId: string) => Permission

export type Judgement =
  { outcome: 'rejected', reason: RejectReason, detail?: string } |
  { outcome: 'dropped', reason: DropReason } |
  {
    outcome: 'accepted'
    reason: AcceptReason
    entry: string | null
    definition: EventDefinition
    /** The properties that may be kept, as JSON text. */
    text: string
    /** Pointers of the gated fields that were taken out. */
    stripped: readonly string[]
    /** The purposes of the gated fields that are still in. */
    fieldPurposes: readonly string[]
  }

/**
 * Judges an event captured at `capturedAt`; one captured before `oldest` is refused (both epoch ms). `definition`: what the
 * catalogue says of events of its name and version.
 */
export function judgeEvent (
  definition: EventDefinition | undefined, permissionOf: PermissionOf, event: SentEvent, capturedAt: number, oldest: number
): Judgement {
  if (definition === undefined) return { outcome: 'rejected', reason: 'unknown_event' }
  if (capturedAt < oldest) return { outcome: 'rejected', reason: 'too_old' }
  const fault = event.properties === undefined ? undefined : definition.findFault(event.properties)
  if (fault !== undefined) return { outcome: 'rejected', reason: 'invalid_properties', detail: fault }
  const decision = decide(permissionOf(definition.purpose.id), capturedAt, event.occurredAt)
  if (decision.outcome === 'dropped') return decision
  const { reason, entry } = decision
  if (!mayHoldGatedFields(definition, event)) {
    return { outcome: 'accepted', reason, entry, definition, text: event.text ?? JSON.stringify(event.properties), stripped: none, fieldPurposes: none }
  }
  const { properties, stripped, fieldPurposes } = stripFields(definition, propertiesOf(event), permissionOf, capturedAt)
  const text = stripped.length > 0 ? undefined : event.text
  return { outcome: 'accepted', reason, entry, definition, text: text ?? JSON.stringify(properties), stripped, fieldPurposes }
}

/** Whether it is worth reading the properties for: their text tells of most that no gated field is among them. */
function mayHoldGatedFields ({ gatedFields }: EventDefinition, { text }: SentEvent): boolean {
  return text === undefined ? gatedFields.length > 0 : gatedFields.some(({ key }) => text.includes(key))
}

const none: readonly string[] = []

/** Takes out every gated field whose own purpose does not permit it. */
export function stripFields (
  definition: EventDefinition, properties: Record<string, unknown>, permissionOf: PermissionOf, capturedAt: number
): { properties: Record<string, unknown>, stripped: readonly string[], fieldPurposes: readonly string[] } {
  let kept = properties
  const stripped: string[] = []
  const fieldPurposes: string[] = []
  for (const field of definition.gatedFields) {
    if (!holdsPath(kept, field.path)) continue
    if (decide(permissionOf(field.purpose), capturedAt).outcome === 'accepted') {
      if (!fieldPurposes.includes(field.purpose)) fieldPurposes.push(field.purpose)
    } else {
      kept = withoutPath(kept, field.path)
      stripped.push(field.pointer)
    }
  }
  return { properties: kept, stripped, fieldPurposes }
}

function holdsPath (value: Record<string, unknown>, path: readonly string[]): boolean {
  let here: unknown = value
  for (const name of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return false
    here = (here as Record<string, unknown>)[name]
  }
  return true
}

function withoutPath (value: Record<string, unknown>, path: readonly string[]): Record<string, unknown> {
  const [name, ...rest] = path
  if (name === undefined) return value
  const { [name]: inner, ...others } = value
  return rest.length === 0 ? others : { ...others, [name]: withoutPath(inner as Record<string, unknown>, rest) }
}
