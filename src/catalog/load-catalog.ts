/** Reads and checks the catalogue of `schemas/`: all of it, at start, or nothing. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { z } from 'zod'
import { accountWideSinceDefault, type Catalog, type EventDefinition, type GatedField, type Product, type Purpose } from '../domain/catalog.ts'
import { loadNotices } from './load-notices.ts'
import { usualFormOf } from './usual-form.ts'
import { check, pointerOf, readChecked, readJson, refuseRepeats } from './read-file.ts'

const purposeId = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/)
const text = z.string().min(1)
const year = z.int().min(1980).max(2200)
const scope = z.enum(['account', 'device'])

const purposesFile = z.strictObject({
  purposes: z.array(z.strictObject({
    id: purposeId, title: text, description: text, required: z.boolean(), legal_basis: text, on_withdrawal: z.enum(['keep', 'erase']).optional()
  }).refine(({ required, on_withdrawal: kept }) => required || kept !== undefined, { path: ['on_withdrawal'], error: 'must be given for an optional purpose' })).min(1)
})

const productsFile = z.strictObject({
  products: z.array(z.strictObject({
    name: z.string().regex(/^[a-z][a-z0-9_.-]{0,63}$/),
    title: text,
    releases: z.strictObject({ first: year, last: year }).refine(({ first, last }) => first <= last, 'first is later than last'),
    account_wide_since: year.optional(),
    overrides: z.record(z.string().regex(/^[0-9]{4}$/), scope).optional()
  }).refine(({ releases, overrides = {} }) => Object.keys(overrides).every(release => Number(release) >= releases.first && Number(release) <= releases.last), 'an override lies outside of the releases')).min(1)
})

interface ObjectSchema { [keyword: string]: unknown, properties?: Record<string, ObjectSchema>, required?: string[] }

const eventFile = z.looseObject({
  type: z.literal('object'),
  'x-purpose': purposeId,
  'x-owner': text,
  'x-description': text,
  'x-justification': text.optional(),
  examples: z.array(z.unknown()).min(1)
})

/** @throws an error whose message names the file and what is wrong with it */
export async function loadCatalog (directory: string): Promise<Catalog> {
  const purposes = (await readChecked(directory, 'purposes.json', purposesFile)).purposes.map((purpose): Purpose => ({
    id: purpose.id, title: purpose.title, description: purpose.description, required: purpose.required, legalBasis: purpose.legal_basis, onWithdrawal: purpose.on_withdrawal ?? 'keep'
  }))
  const products = (await readChecked(directory, 'products.json', productsFile)).products.map((product): Product => ({
    name: product.name,
    title: product.title,
    firstRelease: product.releases.first,
    lastRelease: product.releases.last,
    accountWideSince: product.account_wide_since ?? accountWideSinceDefault,
    overrides: product.overrides ?? {}
  }))
  refuseRepeats('purposes.json', purposes.map(purpose => purpose.id))
  refuseRepeats('products.json', products.map(product => product.name))

  const ajv = new Ajv2020({ strict: true, allErrors: false, coerceTypes: false, removeAdditional: false, useDefaults: false })
  ajv.addVocabulary(['x-purpose', 'x-owner', 'x-description', 'x-justification'])
  const byId = new Map(purposes.map(purpose => [purpose.id, purpose]))
  const events = new Map<string, Map<number, EventDefinition>>()
  for (const file of await listEventFiles(directory)) {
    const definition = readEvent(file, await readJson(directory, file.path), byId, ajv)
    const versions = events.get(definition.name) ?? new Map<number, EventDefinition>()
    events.set(definition.name, versions.set(definition.version, definition))
  }
  if (events.size === 0) throw new Error('events/: there is no event definition')
  return {
    notices: await loadNotices(directory, purposes.map(purpose => purpose.id)),
    purposes,
    optionalPurposes: purposes.filter(purpose => !purpose.required).map(purpose => purpose.id),
    products: new Map(products.map(product => [product.name, product])),
    events
  }
}

interface EventFile { path: string, name: string, version: number }

async function listEventFiles (directory: string): Promise<EventFile[]> {
  const found: EventFile[] = []
  const entries = await readdir(join(directory, 'events'), { withFileTypes: true, recursive: true }).catch((cause: unknown) => {
    throw new Error('events/: cannot be read', { cause })
  })
  for (const entry of entries.filter(entry => entry.isFile())) {
    const path = join(entry.parentPath, entry.name).slice(directory.length).replace(/^\/+/, '')
    const match = /^events\/([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\/([1-9][0-9]{0,4})\.json$/.exec(path)
    if (match?.[1] === undefined || match[2] === undefined) throw new Error(`${path}: is not named events/<name>/<version>.json`)
    found.push({ path, name: match[1], version: Number(match[2]) })
  }
  return found.sort((a, b) => a.name.localeCompare(b.name) || a.version - b.version)
}

function readEvent ({ path, name, version }: EventFile, content: unknown, purposes: ReadonlyMap<string, Purpose>, ajv: Ajv2020): EventDefinition {
  const header = check(path, eventFile, content)
  const purpose = purposes.get(header['x-purpose'])
  if (purpose === undefined) throw new Error(`${path}: x-purpose names no purpose of purposes.json`)
  if (purpose.required && header['x-justification'] === undefined) throw new Error(`${path}: a required purpose needs x-justification`)
  const schema = content as ObjectSchema
  const gatedFields = findGatedFields(path, schema, purpose, purposes)
  let validate
  try {
    validate = ajv.compile(schema)
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : 'is no valid JSON Schema'}`, { cause: error })
  }
  header.examples.forEach((example, index) => {
    if (!validate(example)) throw new Error(`${path}: example ${String(index)} is not valid: ${describeFault(validate.errors)}`)
  })
  const usualForm = usualFormOf(schema)
  return {
    name,
    version,
    purpose,
    description: header['x-description'],
    owner: header['x-owner'],
    justification: header['x-justification'],
    gatedFields,
    schema,
    findFault: properties => validate(properties) ? undefined : describeFault(validate.errors),
    findUsualEnd (text, from) {
      if (usualForm === undefined) return -1
      usualForm.lastIndex = from
      return usualForm.test(text) ? usualForm.lastIndex : -1
    }
  }
}

/** Keywords whose schemas are not walked: a property in one would be neither closed nor gated. */
const unwalked = [
  '$ref', '$dynamicRef', '$defs', 'definitions', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'prefixItems', 'patternProperties',
  'propertyNames', 'dependentSchemas', 'dependencies', 'unevaluatedProperties', 'unevaluatedItems'
]

/** Walks every object of a schema: each must be closed, and a gated field must be one that an event can do without. */
function findGatedFields (file: string, schema: ObjectSchema, eventPurpose: Purpose, purposes: ReadonlyMap<string, Purpose>): GatedField[] {
  const fields: GatedField[] = []
  const walk = (here: ObjectSchema, path: readonly string[], inArray: boolean, required: boolean): void => {
    const refuse = (what: string): never => { throw new Error(`${file}: ${pointerOf(path) || 'the schema'} ${what}`) }
    const stated = new Map(Object.entries(Object(here) as ObjectSchema))
    if (!['type', 'enum', 'const'].some(keyword => stated.has(keyword))) refuse('must have a "type", an "enum" or a "const"')
    const foreign = unwalked.find(keyword => stated.has(keyword))
    if (foreign !== undefined) refuse(`cannot use ${foreign}`)
    if ([here['type']].flat().includes('object') && here['additionalProperties'] !== false) refuse('must have "additionalProperties": false')
    const gate = path.length === 0 ? undefined : here['x-purpose']
    if (gate !== undefined) {
      const purpose = typeof gate === 'string' ? purposes.get(gate) : undefined
      if (purpose === undefined || purpose.required || purpose === eventPurpose) return refuse('x-purpose must name another, optional purpose')
      if (inArray || required) refuse('a property with its own x-purpose cannot be required, nor lie in an array')
      fields.push({ pointer: pointerOf(path), key: `${JSON.stringify(path.at(-1))}:`, path, purpose: purpose.id })
    }
    for (const [name, property] of Object.entries(here.properties ?? {})) walk(property, [...path, name], inArray, here.required?.includes(name) === true)
    for (const keyword of ['items', 'contains']) {
      if (stated.has(keyword)) walk(here[keyword] as ObjectSchema, [...path, '*'], true, true)
    }
  }
  walk(schema, [], false, true)
  return fields
}

/** Where and how properties miss their schema. Names what the schema names, never a value or a name the client chose. */
function describeFault (errors: ErrorObject[] | null | undefined): string {
  const [error] = errors ?? []
  if (error === undefined) return 'does not match its schema'
  return `${error.instancePath || 'properties'} ${error.message ?? 'does not match its schema'}`
}
