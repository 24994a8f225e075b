/** The catalogue that comes with the service, and its events' examples. */
import { join } from 'node:path'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import type { EventDefinition } from '../../src/domain/catalog.ts'

export const schemasDir = join(import.meta.dirname, '..', '..', 'schemas')
export const catalog = await loadCatalog(schemasDir)

export const examples = [...catalog.events.values()].flatMap(versions => [...versions.values()]).flatMap(definition =>
  (definition.schema['examples'] as Array<Record<string, unknown>>).map((properties): { definition: EventDefinition, properties: Record<string, unknown> } => ({ definition, properties })))
