/** Why data is collected, by what, and which scope's consent governs it. Read once from `schemas/`. */
import type { Notice } from './notice.ts'

export type Scope = 'account' | 'device'

/** Why data is collected. A required purpose cannot be switched off by anyone. */
export interface Purpose {
  id: string
  title: string
  description: string
  required: boolean
  legalBasis: string
  /** What becomes of data that was collected under a consent that ends. */
  onWithdrawal: 'keep' | 'erase'
}

/** A desktop product. `firstRelease` and `lastRelease` are release years, both included. */
export interface Product {
  name: string
  title: string
  firstRelease: number
  lastRelease: number
  accountWideSince: number
  overrides: Readonly<Record<string, Scope>>
}

/** A property that is collected for a stricter purpose than its event. `path` leads to it from the event's properties. */
export interface GatedField {
  pointer: string
  /** What stands before its value in JSON text without blanks. */
  key: string
  path: readonly string[]
  purpose: string
}

export interface EventDefinition {
  name: string
  version: number
  purpose: Purpose
  description: string
  owner: string
  justification: string | undefined
  gatedFields: readonly GatedField[]
  schema: Readonly<Record<string, unknown>>
  /** Says what is wrong with an event's properties, without quoting any value; undefined when nothing is. */
  findFault: (properties: unknown) => string | undefined
  /** Where properties end that begin at a place of a text and are valid as they are written; -1 where only reading them can tell. */
  findUsualEnd: (text: string, from: number) => number
}

export interface Catalog {
  purposes: readonly Purpose[]
  optionalPurposes: readonly string[]
  products: ReadonlyMap<string, Product>
  /** Definitions by name, then by version. */
  events: ReadonlyMap<string, ReadonlyMap<number, EventDefinition>>
  /** The published notices, in the order in which they took effect. */
  notices: readonly Notice[]
}

/** The first release year whose consent is account-wide, unless the product says otherwise. */
export const accountWideSinceDefault = 2023

export function findEvent (catalog: Catalog, name: string, version: number): EventDefinition | undefined {
  return catalog.events.get(name)?.get(version)
}

/** The scope whose grant counts for a release of a product; undefined when the catalogue does not know the release. */
export function governingScope (catalog: Catalog, productName: string, release: number): Scope | undefined {
  const product = catalog.products.get(productName)
  if (product === undefined || release < product.firstRelease || release > product.lastRelease) return undefined
  return product.overrides[String(release)] ?? (release >= product.accountWideSince ? 'account' : 'device')
}
