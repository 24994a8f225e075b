import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { findEvent } from '../../src/domain/catalog.ts'
import { makeCatalog } from './make-catalog.ts'

const folder = join(import.meta.dirname, '..', '..', 'schemas')

t.test('the project\'s own catalogue loads, every file of it', async t => {
  const catalog = await loadCatalog(folder)
  const files = globSync('events/**/*.json', { cwd: folder })
  t.equal([...catalog.events.values()].reduce((sum, versions) => sum + versions.size, 0), files.length)
  t.match(catalog.purposes.map(({ id, required }) => [id, required]), [['service_delivery', true], ['license_compliance', true], ['product_analytics', false]])
  t.equal(catalog.optionalPurposes.includes('license_compliance'), false)
  t.same([...catalog.products.keys()], ['cad', 'viewer', 'render', 'sheets'])
  t.match(findEvent(catalog, 'command.run', 2), {
    name: 'command.run', version: 2, purpose: { id: 'product_analytics' }, gatedFields: [{ pointer: '/selected_objects', path: ['selected_objects'], purpose: 'content_insights' }]
  })
  t.equal(findEvent(catalog, 'command.run', 3), undefined)
})

t.test('a released event file never changes, and every event file is released', async t => {
  const list = readFileSync(join(folder, 'released.sha256'), 'utf8').trimEnd().split('\n').sort()
  const found = globSync('events/**/*.json', { cwd: folder }).map(path => `${createHash('sha256').update(readFileSync(join(folder, path))).digest('hex')}  ${path}`)
  t.same(found.sort(), list)
})

t.test('a small catalogue is read as it is written', async t => {
  const catalog = await loadCatalog(await makeCatalog(t, {}, {
    properties: {
      id: { type: 'string' },
      'a/b': { type: 'object', additionalProperties: false, required: ['c'], properties: { c: { type: 'integer' }, '~d': { type: 'string', 'x-purpose': 'insights' } } },
      name: { type: 'string', 'x-purpose': 'insights' }
    }
  }))
  t.same(catalog.products.get('cad'), { name: 'cad', title: 'CAD', firstRelease: 2020, lastRelease: 2028, accountWideSince: 2023, overrides: {} })
  t.same(findEvent(catalog, 'a.b', 1)?.gatedFields, [
    { pointer: '/a~1b/~0d', key: '"~d":', path: ['a/b', '~d'], purpose: 'insights' }, { pointer: '/name', key: '"name":', path: ['name'], purpose: 'insights' }
  ])
})

t.test('a fault is named with its place, and no value is quoted', async t => {
  const catalog = await loadCatalog(await makeCatalog(t, {}, {
    required: ['id'],
    properties: {
      id: { type: 'string', pattern: '^[a-z]+$', maxLength: 8 },
      size: { type: 'integer', minimum: 0, maximum: 9 },
      kind: { enum: ['one', 'two'] },
      only: { const: 'this' },
      list: { type: 'array', maxItems: 3, uniqueItems: true, items: { type: 'object', additionalProperties: false, properties: { size: { type: 'integer' } } } }
    },
    examples: [{ id: 'a' }]
  }))
  const event = findEvent(catalog, 'a.b', 1)
  const faults: Array<[properties: unknown, fault: RegExp]> = [
    [{ id: 'ZEBRA' }, /^\/id must match pattern/], [{ id: 'zebrazebra' }, /^\/id must NOT have more than 8/], [{ id: 777_777 }, /^\/id must be string/],
    [{ id: 'a', size: 777_777 }, /^\/size must be <= 9/], [{ id: 'a', size: '7' }, /^\/size must be integer/], [{ id: 'a', size: null }, /^\/size must be integer/],
    [{ id: 'a', kind: 'zebra' }, /^\/kind must be equal to one of/], [{ id: 'a', only: 'zebra' }, /^\/only must be equal to constant/],
    [{ id: 'a', zebra: 1 }, /^properties must NOT have additional properties/], [{ id: 'a', list: [{}, { zebra: 1 }] }, /^\/list\/1 must NOT have additional/],
    [{ id: 'a', list: [{ size: 1 }, { size: 'zebra' }] }, /^\/list\/1\/size must be integer/], [{ id: 'a', list: [{ size: 777_777 }, { size: 777_777 }] }, /^\/list must NOT have dup/],
    [{}, /^properties must have required property 'id'/], [['zebra'], /^properties must be object/], ['zebra', /^properties must be object/], [null, /^properties must be object/]
  ]
  for (const [properties, fault] of faults) {
    const found = event?.findFault(properties)
    t.match(found, fault)
    t.notMatch(found, /zebra|777/i)
  }
  const given = { id: 'a', size: 9, list: [{ size: 1 }] }
  t.equal(event?.findFault(given), undefined)
  t.same(given, { id: 'a', size: 9, list: [{ size: 1 }] }, 'and nothing is changed')
})
