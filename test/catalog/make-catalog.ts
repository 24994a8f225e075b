/** Writes a small catalogue that is right, or wrong in what a test changes. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'

export const purposes = [
  { id: 'delivery', title: 'Delivery', description: 'What we must have.', required: true, legal_basis: 'Contract' },
  { id: 'analytics', title: 'Analytics', description: 'What we would like.', required: false, legal_basis: 'Consent', on_withdrawal: 'keep' },
  { id: 'insights', title: 'Insights', description: 'What we ask about.', required: false, legal_basis: 'Consent', on_withdrawal: 'keep' }
] as const

export const product = { name: 'cad', title: 'CAD', releases: { first: 2020, last: 2028 } }

export const event = {
  type: 'object', 'x-purpose': 'analytics', 'x-owner': 'tests', 'x-description': 'An event.', additionalProperties: false, properties: { id: { type: 'string' } }, examples: [{}]
}

/** `files`: by path; a text as it is, undefined for a file that is missing. `changes`: members of `events/a.b/1.json`. */
export async function makeCatalog (t: Test, files: Record<string, unknown> = {}, changes: Record<string, unknown> = {}): Promise<string> {
  const directory = t.testdir({})
  const all: Record<string, unknown> = { 'purposes.json': { purposes }, 'products.json': { products: [product] }, 'events/a.b/1.json': { ...event, ...changes }, ...files }
  for (const [path, content] of Object.entries(all)) {
    if (content === undefined) continue
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}
