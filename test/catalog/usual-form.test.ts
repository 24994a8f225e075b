import fc from 'fast-check'
import t from 'tap'
import { usualFormOf } from '../../src/catalog/usual-form.ts'
import { scanJson } from '../../src/http/json-scan.ts'
import { catalog, examples } from '../support/schemas.ts'
import { misspell } from '../support/misspelled.ts'

type Schema = Parameters<typeof usualFormOf>[0]
const matches = (schema: Schema, text: string): boolean => usualFormOf(schema)?.exec(text)?.[0] === text
const object = (properties: Record<string, Schema>, required: string[] = []): Schema => ({ type: 'object', additionalProperties: false, required, properties })

t.test('most properties of the catalogue that are valid are seen to be so as they are written', async t => {
  const flat = examples.filter(({ properties }) => Object.values(properties).every(value => typeof value !== 'object'))
  const seen = flat.filter(({ definition, properties }) => definition.findUsualEnd(JSON.stringify(properties), 0) > 0)
  t.ok(seen.length > 20 && seen.length / flat.length > 0.8, `${String(seen.length)} of ${String(flat.length)}`)
  t.ok(seen.some(({ definition, properties }) => definition.findUsualEnd(JSON.stringify(Object.fromEntries(Object.entries(properties).reverse())), 0) > 0), 'in any order')
})

t.test('what is taken for valid as it is written is valid, once it is read, and is written again in the same way', async t => {
  let taken = 0
  fc.assert(fc.property(fc.constantFrom(...examples).chain(({ definition, properties }) => misspell(JSON.stringify(properties)).map(text => ({ definition, text }))), ({ definition, text }) => {
    const end = definition.findUsualEnd(text, 0)
    if (end < 0) return true
    taken++
    const properties = text.slice(0, end)
    const found = scanJson(`{"events":[${properties}]}`)
    const value: unknown = JSON.parse(properties)
    return found.fatal === undefined && found.events === undefined && definition.findFault(value) === undefined && JSON.stringify(value) === properties
  }), { numRuns: 30_000, seed: 11 })
  t.ok(taken > 3000, `${String(taken)} were taken`)
})

t.test('bounds of lengths and numbers are kept', async t => {
  const text = object({ a: { type: 'string', minLength: 2, maxLength: 3 } }, ['a'])
  t.same(['', 'x', 'xx', 'xxx', 'xxxx'].map(value => matches(text, JSON.stringify({ a: value }))), [false, false, true, true, false])
  t.notOk(matches(text, '{}'), 'what is required is there')
  const whole = object({ a: { type: 'integer', minimum: 20, maximum: 5000 } })
  for (const value of [-100, 0, 1, 19, 5001, 99_999]) t.notOk(matches(whole, JSON.stringify({ a: value })), String(value))
  for (const value of [100, 999]) t.ok(matches(whole, JSON.stringify({ a: value })), String(value))
  const share = object({ a: { type: 'number', minimum: 0, maximum: 100 } })
  for (const value of ['0', '0.5', '99.123456']) t.ok(matches(share, `{"a":${value}}`), value)
  for (const value of ['0.50', '1.0', '-0', '00', '100.5', '1e1', '0.1234567']) t.notOk(matches(share, `{"a":${value}}`), value)
})

t.test('a keyword that is not understood, or a pattern that could take a quote for its own, is left to validation', async t => {
  for (const property of [
    { type: 'string', pattern: '^[^a]+$' }, { type: 'string', pattern: '^.+$' }, { type: 'string', pattern: 'a' }, { type: 'string', pattern: String.raw`^\S+$` }, { type: 'string', pattern: '^a|b$' },
    { type: 'string', pattern: '^[!-~]+$' }, { type: 'string', pattern: '^(?=a)b$' }, { type: 'string', format: 'date' }, { type: 'integer', minimum: 0, maximum: 9, multipleOf: 2 }, { type: 'integer' },
    { type: ['string', 'null'] }, { enum: ['a'] }, { const: 'a' }, { type: 'array', items: {} }, { type: 'string', enum: ['a"b'] }, { type: 'string', enum: ['a', 'abc'], maxLength: 2 }, { type: 'string', enum: ['a'], pattern: '^b$' }
  ]) t.equal(usualFormOf(object({ a: property }, ['a'])), undefined, JSON.stringify(property))
  for (const more of [{ dependentRequired: { a: ['b'] } }, { minProperties: 1 }, { maxProperties: 1 }, { const: {} }, { enum: [{}] }]) {
    t.equal(usualFormOf({ ...object({ a: { type: 'boolean' }, b: { type: 'boolean' } }), ...more }), undefined, JSON.stringify(more))
  }
  t.ok(matches(object({ a: { type: 'string', pattern: '^[a-z]{2}(-[A-Z]{2})?$' } }), '{"a":"de-AT"}'))
  t.ok(matches(object({ a: { type: 'boolean' }, b: { type: 'array', items: {} } }), '{"a":true}'), 'of the others it is told')
})

t.test('every definition of the catalogue has a form', async t => {
  for (const versions of catalog.events.values()) for (const { name, schema } of versions.values()) t.ok(usualFormOf(schema), name)
})
