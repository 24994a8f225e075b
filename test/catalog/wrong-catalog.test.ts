import t from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { event, makeCatalog, product, purposes } from './make-catalog.ts'

const [delivery, analytics] = purposes
const gated = { type: 'string', 'x-purpose': 'insights' }
const inner = { type: 'object', additionalProperties: false, properties: { name: gated } }

/** How a file can be wrong: its path, its content, and what is said about it. */
const files: Record<string, [path: string, content: unknown, message: RegExp]> = {
  'purposes are missing': ['purposes.json', undefined, /cannot be read$/],
  'products are missing': ['products.json', undefined, /cannot be read$/],
  'purposes are not JSON': ['purposes.json', '{', /is not JSON$/],
  'an event is not JSON': ['events/a.b/1.json', '{"type": object}', /is not JSON$/],
  'an event is no object': ['events/a.b/1.json', '[]', /Invalid input/],
  'there is no purpose': ['purposes.json', { purposes: [] }, /\/purposes /],
  'a purpose has no legal basis': ['purposes.json', { purposes: [{ ...delivery, legal_basis: undefined }] }, /\/purposes\/0\/legal_basis /],
  'a purpose has another member': ['purposes.json', { purposes: [{ ...delivery, more: 1 }] }, /\/purposes\/0 /],
  'a purpose has a name of another form': ['purposes.json', { purposes: [{ ...delivery, id: 'Delivery' }] }, /\/purposes\/0\/id /],
  'a purpose is there twice': ['purposes.json', { purposes: [...purposes, analytics] }, /analytics is there twice$/],
  'an optional purpose does not say what a withdrawal does': ['purposes.json', { purposes: [...purposes.slice(0, 2), { ...analytics, id: 'more', on_withdrawal: undefined }] }, /\/purposes\/2\/on_withdrawal must be given/],
  'a withdrawal is to do what nothing does': ['purposes.json', { purposes: [delivery, { ...analytics, on_withdrawal: 'forget' }] }, /\/purposes\/1\/on_withdrawal /],
  'there is no product': ['products.json', { products: [] }, /\/products /],
  'a product is there twice': ['products.json', { products: [product, product] }, /cad is there twice$/],
  'releases are the wrong way round': ['products.json', { products: [{ ...product, releases: { first: 2028, last: 2020 } }] }, /\/products\/0\/releases first is later than last$/],
  'an override has no scope': ['products.json', { products: [{ ...product, overrides: { 2024: 'everybody' } }] }, /\/products\/0\/overrides\/2024 /],
  'an override is of no year': ['products.json', { products: [{ ...product, overrides: { latest: 'device' } }] }, /\/products\/0\/overrides\/latest /],
  'an override is of an earlier release': ['products.json', { products: [{ ...product, overrides: { 2019: 'device' } }] }, /\/products\/0 an override lies outside of the releases$/],
  'an override is of a later release': ['products.json', { products: [{ ...product, overrides: { 2029: 'device' } }] }, /\/products\/0 an override lies outside of the releases$/],
  'an event has a capital in its name': ['events/A.b/1.json', event, /is not named events\/<name>\/<version>\.json$/],
  'an event has an empty part in its name': ['events/a..b/1.json', event, /is not named/],
  'a version is 0': ['events/a.b/0.json', event, /is not named/],
  'a version has a leading zero': ['events/a.b/01.json', event, /is not named/],
  'a version is no number': ['events/a.b/one.json', event, /is not named/],
  'an event lies too deep': ['events/a/b/1.json', event, /is not named/],
  'an event lies too high': ['events/1.json', event, /is not named/],
  'a file is no event': ['events/a.b/notes.txt', 'hello', /is not named/]
}

/** How an event can be wrong: members of its schema, and what is said about them. */
const events: Record<string, [changes: Record<string, unknown>, message: RegExp]> = {
  'has an unknown purpose': [{ 'x-purpose': 'marketing' }, /x-purpose names no purpose/],
  'has no purpose': [{ 'x-purpose': undefined }, /\/x-purpose /],
  'has no owner': [{ 'x-owner': '' }, /\/x-owner /],
  'has no description': [{ 'x-description': undefined }, /\/x-description /],
  'has no examples': [{ examples: [] }, /\/examples /],
  'is required without a justification': [{ 'x-purpose': 'delivery' }, /a required purpose needs x-justification$/],
  'is no object': [{ type: 'array' }, /\/type /],
  'is open': [{ additionalProperties: undefined }, /the schema must have "additionalProperties": false$/],
  'holds an open object': [{ properties: { a: { type: 'object' } } }, /\/a must have "additionalProperties": false$/],
  'holds an object whose other members have a schema': [{ properties: { a: { type: 'object', additionalProperties: { type: 'string' } } } }, /\/a must have/],
  'holds an array of open objects': [{ properties: { a: { type: 'array', items: { type: 'object' } } } }, /\/a\/\* must have "additionalProperties": false$/],
  'holds an open object or null': [{ properties: { a: { type: ['object', 'null'] } } }, /\/a must have "additionalProperties": false$/],
  'holds anything': [{ properties: { a: {} } }, /\/a must have a "type"/],
  'holds anything at all': [{ properties: { a: true } }, /\/a must have a "type"/],
  'holds an array of anything': [{ properties: { a: { type: 'array', items: true } } }, /\/a\/\* must have a "type"/],
  'looks elsewhere': [{ $defs: { a: gated }, properties: { a: { type: 'string', $ref: '#/$defs/a' } } }, /the schema cannot use \$defs$/],
  'has alternatives': [{ properties: { a: { type: 'object', additionalProperties: false, anyOf: [inner] } } }, /\/a cannot use anyOf$/],
  'has members by pattern': [{ patternProperties: { '^a': gated } }, /the schema cannot use patternProperties$/],
  'has a required field with its own purpose': [{ required: ['a'], properties: { a: gated } }, /\/a a property with its own x-purpose cannot be required, nor lie in an array$/],
  'has such a field required in an inner object': [{ properties: { a: { ...inner, required: ['name'] } } }, /\/a\/name a property with its own/],
  'has such a field in an array': [{ properties: { a: { type: 'array', items: inner } } }, /\/a\/\*\/name a property with its own/],
  'has items with their own purpose': [{ properties: { a: { type: 'array', items: gated } } }, /\/a\/\* a property with its own/],
  'has a field of a required purpose': [{ properties: { a: { ...gated, 'x-purpose': 'delivery' } } }, /\/a x-purpose must name another, optional purpose$/],
  'has a field of its own purpose': [{ properties: { a: { ...gated, 'x-purpose': 'analytics' } } }, /\/a x-purpose must name another/],
  'has a field of an unknown purpose': [{ properties: { a: { ...gated, 'x-purpose': 'marketing' } } }, /\/a x-purpose must name another/],
  'has a field whose purpose is no name': [{ properties: { a: { ...gated, 'x-purpose': ['insights'] } } }, /\/a x-purpose must name another/],
  'has an example that is not valid': [{ examples: [{ id: 'a' }, { id: 7 }] }, /example 1 is not valid: \/id must be string$/],
  'has an unknown keyword': [{ properties: { a: { type: 'string', maxLenght: 3 } } }, /strict mode: unknown keyword: "maxLenght"$/],
  'has a keyword of another type': [{ properties: { a: { type: 'string', maximum: 3 } } }, /strict mode: /],
  'has a pattern that is none': [{ properties: { a: { type: 'string', pattern: '(' } } }, /regular expression/i],
  'has a type that is none': [{ properties: { a: { type: 'text' } } }, /type/]
}

t.test('a catalogue with a wrong file is refused, and the file is named', async t => {
  for (const [about, [path, content, message]] of Object.entries(files)) {
    const failure = await loadCatalog(await makeCatalog(t, { [path]: content })).then(() => new Error('it was loaded'), (error: unknown) => error as Error)
    t.ok(failure.message.startsWith(`${path}: `), `${about}: ${failure.message}`)
    t.match(failure.message, message)
  }
})

t.test('an event that says too little or takes too much is refused, and its file is named', async t => {
  for (const [about, [changes, message]] of Object.entries(events)) {
    const failure = await loadCatalog(await makeCatalog(t, {}, changes)).then(() => new Error('it was loaded'), (error: unknown) => error as Error)
    t.ok(failure.message.startsWith('events/a.b/1.json: '), `an event that ${about}: ${failure.message}`)
    t.match(failure.message, message)
  }
})

t.test('a catalogue without events is refused', async t => {
  await t.rejects(loadCatalog(await makeCatalog(t, { 'events/a.b/1.json': undefined })), { message: 'events/: cannot be read' })
  await t.rejects(loadCatalog(t.testdir({ 'purposes.json': JSON.stringify({ purposes }), 'products.json': JSON.stringify({ products: [product] }), events: {} })), { message: 'events/: there is no event definition' })
})

t.test('and without what is wrong, it would load', async t => {
  await t.resolves(loadCatalog(await makeCatalog(t)))
  await t.resolves(loadCatalog(await makeCatalog(t, {}, { properties: { a: gated, b: inner } })))
})
