import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { findEvent, type EventDefinition } from '../../src/domain/catalog.ts'
import type { Permission } from '../../src/domain/consent.ts'
import { judgeEvent, stripFields, type PermissionOf } from '../../src/domain/judgement.ts'

const catalog = await loadCatalog(join(import.meta.dirname, '..', '..', 'schemas'))
const required = new Set(catalog.purposes.filter(purpose => purpose.required).map(purpose => purpose.id))
const yes: Permission = { allowed: true, reason: 'account_granted', since: 100, entry: 'e', erasedAt: 0 }

/** Permits the required purposes, and those named. */
function permits (...purposes: string[]): PermissionOf {
  return purpose => required.has(purpose)
    ? { allowed: true, reason: 'required', since: 0, entry: null, erasedAt: 0 }
    : purposes.includes(purpose) ? yes : { allowed: false, reason: 'not_granted', erasedAt: 0 }
}

function judge (name: string, properties: Record<string, unknown>, permissionOf: PermissionOf, capturedAt = 200, version = 1): ReturnType<typeof judgeEvent> {
  return judgeEvent(findEvent(catalog, name, version), permissionOf, { id: 'i', name, version, occurredAt: 0, properties }, capturedAt, 50)
}

t.test('the catalogue judges first, consent second', async t => {
  const all = permits(...catalog.optionalPurposes)
  t.match(judge('command.run', { command: 'LINE' }, all), { outcome: 'accepted', reason: 'account_granted', entry: 'e', stripped: [] })
  t.match(judge('command.run', { command: 'LINE' }, all, 200, 3), { outcome: 'rejected', reason: 'unknown_event' })
  t.match(judge('constructor', {}, all), { outcome: 'rejected', reason: 'unknown_event' })
  t.match(judge('command.run', { command: 'LINE' }, permits(), 49), { outcome: 'rejected', reason: 'too_old' }, 'one ms too old')
  t.match(judge('command.run', { command: 'LINE' }, permits(), 50), { outcome: 'dropped', reason: 'not_granted' }, 'just young enough')
  t.match(judge('command.run', { command: 'LINE', user: 'ada' }, permits()), { outcome: 'rejected', reason: 'invalid_properties' })
  t.match(judge('command.run', { command: 'LINE' }, all, 99), { outcome: 'dropped', reason: 'captured_before_consent' })
})

t.test('what is wrong is told without repeating what was sent', async t => {
  for (const properties of [{ command: 'secret plan' }, { command: 'LINE', secret: 'plan' }, { command: { secret: 'plan' } }, {}]) {
    const judged = judge('command.run', properties, permits())
    t.equal(judged.outcome, 'rejected')
    t.notMatch(JSON.stringify(judged), /secret|plan/)
  }
})

t.test('a gated field stays only while its own purpose permits it', async t => {
  const properties = { signature: '0'.repeat(64), kind: 'hang', last_command: 'HATCH', object_count: 5 }
  const kept = (...purposes: string[]): unknown => {
    const judged = judge('crash.reported', properties, permits('diagnostics', ...purposes))
    return judged.outcome === 'accepted' ? [Object.keys(JSON.parse(judged.text) as object), judged.stripped, judged.fieldPurposes] : judged
  }
  t.same(kept(), [['signature', 'kind'], ['/last_command', '/object_count'], []])
  t.same(kept('product_analytics'), [['signature', 'kind', 'last_command'], ['/object_count'], ['product_analytics']])
  t.same(kept('product_analytics', 'content_insights'), [Object.keys(properties), [], ['product_analytics', 'content_insights']])
  t.equal(properties.last_command, 'HATCH', 'what was sent is not altered')
})

t.test('a gated field captured before its own consent is taken out, the event stays', async t => {
  const later: PermissionOf = purpose => ({ ...yes, since: purpose === 'content_insights' ? 300 : 100 })
  t.match(judge('file.open', { format: 'dwg', file_name: 'a.dwg' }, later, 200), { outcome: 'accepted', text: '{"format":"dwg"}', stripped: ['/file_name'] })
  t.match(judge('file.open', { format: 'dwg', file_name: 'a.dwg' }, later, 300), { outcome: 'accepted', text: '{"format":"dwg","file_name":"a.dwg"}', stripped: [] })
})

t.test('no permitted combination lets a gated field through that is not permitted', async t => {
  const examples = [...catalog.events.values()].flatMap(versions => [...versions.values()]).flatMap(definition =>
    (definition.schema['examples'] as Array<Record<string, unknown>>).map(properties => ({ definition, properties })))
  t.ok(examples.some(({ definition }) => definition.purpose.required && definition.gatedFields.length > 0), 'a required event has gated fields')
  fc.assert(fc.property(fc.constantFrom(...examples), fc.subarray([...catalog.optionalPurposes]), ({ definition, properties }, allowed) => {
    const stripped = stripFields(definition, properties, permits(...allowed), 200)
    return definition.gatedFields.every(({ path: [name = ''], purpose }) =>
      Object.hasOwn(stripped.properties, name) === (Object.hasOwn(properties, name) && allowed.includes(purpose))) &&
      Object.keys(properties).every(name => Object.hasOwn(stripped.properties, name) || stripped.stripped.includes(`/${name}`))
  }))
})

t.test('a field is found at any depth, and its neighbours stay', async t => {
  const definition = { gatedFields: [{ pointer: '/a/b', key: '"b":', path: ['a', 'b'], purpose: 'diagnostics' }] } as unknown as EventDefinition
  const properties = { a: { b: 1, c: 2 }, d: 3 }
  t.same(stripFields(definition, properties, permits(), 200), { properties: { a: { c: 2 }, d: 3 }, stripped: ['/a/b'], fieldPurposes: [] })
  t.same(stripFields(definition, { a: 5 }, permits(), 200), { properties: { a: 5 }, stripped: [], fieldPurposes: [] })
  t.same(properties, { a: { b: 1, c: 2 }, d: 3 })
})
