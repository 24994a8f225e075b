/** Values as a JSON schema wants them. */
import fc from 'fast-check'
import type { Schema } from './openapi.ts'

/** What some names stand for in this service, so that what is sent gets beyond the first check. */
const known: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  purpose: fc.constantFrom('product_analytics', 'diagnostics', 'content_insights', 'license_compliance', 'privacy.update', 'data.export', 'data.erase', 'two_step.enroll', 'two_step.disable', 'sign_in'),
  product: fc.constantFrom('cad', 'sheets', 'nothing'),
  release: fc.constantFrom('2022', '2026', '1979'),
  account_id: fc.constantFrom('ada', 'grace', 'tom', 'nobody'),
  device_id: fc.constantFrom('pc-ada', 'pc-grace', 'pc-9'),
  org_id: fc.constantFrom('acme', 'umbrella'),
  slug: fc.constantFrom('invalid-token', 'not-found', 'nothing'),
  group_by: fc.constantFrom('reason', 'reason,product', 'purpose,stage', 'nothing'),
  interval: fc.constantFrom('day', 'week', 'month'),
  from: fc.constantFrom('2026-01-01', '2026-06-01T00:00:00Z', '2020-01-01'),
  to: fc.constantFrom('2026-02-01', '2027-01-01T00:00:00Z', '2019-01-01'),
  as_of: fc.constantFrom('2026-06-01T00:00:00Z', '2100-01-01T00:00:00+14:00'),
  limit: fc.constantFrom('1', '50', '200', '1000', '0'),
  code: fc.constantFrom('000000', '123456', '1234567890', 'ABCD-EFGH-JKMN', 'abcd'),
  account: fc.dictionary(fc.constantFrom('product_analytics', 'diagnostics'), fc.constantFrom('granted', 'denied'), { noNullPrototype: true }),
  devices: fc.dictionary(fc.constantFrom('pc-ada', 'pc-grace', 'pc-9'), fc.dictionary(fc.constantFrom('product_analytics', 'diagnostics'), fc.constantFrom('granted', 'denied', 'cleared'), { noNullPrototype: true }), { noNullPrototype: true })
}

/** `name`: of the member or parameter that it is for. */
export function valueOf (schema: Schema, name = ''): fc.Arbitrary<unknown> {
  const bySchema = valueBySchema(schema)
  const special = known[name]
  const fits = special !== undefined && !(schema.type === 'integer' && name === 'release')
  return fits ? fc.oneof({ weight: 4, arbitrary: special }, { weight: 1, arbitrary: bySchema }) : bySchema
}

function valueBySchema (schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  if (schema.anyOf !== undefined && schema.anyOf.length > 0) return fc.oneof(...schema.anyOf.map(one => valueOf(one)))
  switch (schema.type) {
    case 'string': return textOf(schema)
    case 'integer': return fc.integer({ min: Math.max(schema.minimum ?? 0, -1e9), max: Math.min(schema.maximum ?? 1e9, 1e9) })
    case 'number': return fc.double({ noNaN: true, noDefaultInfinity: true, min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9 })
    case 'boolean': return fc.boolean()
    case 'null': return fc.constant(null)
    case 'array': return fc.array(valueOf(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? 4, 4) })
    case 'object': return objectOf(schema)
    default: return fc.jsonValue({ maxDepth: 2 })
  }
}

function objectOf ({ properties = {}, required = [], additionalProperties, propertyNames = { type: 'string' } }: Schema): fc.Arbitrary<unknown> {
  if (typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0) {
    return fc.dictionary(textOf(propertyNames), valueOf(additionalProperties), { maxKeys: 4, noNullPrototype: true })
  }
  const members = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valueOf(schema, name)]))
  return fc.record(members, { requiredKeys: required as never[], noNullPrototype: true })
}

const instant = fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true }).map(date => date.toISOString())

function textOf ({ format, pattern, minLength = 0, maxLength = 60 }: Schema): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid()
  if (format === 'date-time') return instant
  const lengths = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)) }
  if (pattern === undefined || pattern.includes('\\p{')) return fc.string({ ...lengths, unit: 'grapheme-ascii' })
  return fc.stringMatching(new RegExp(pattern.replace('(?!__proto__$)', '')))
}
