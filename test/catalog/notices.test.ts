import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { loadCatalog } from '../../src/catalog/load-catalog.ts'
import { makeCatalog } from './make-catalog.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const listed = (version: string, from: string, changes: Record<string, unknown> = {}): Record<string, unknown> =>
  ({ version, effective_from: from, material: true, title: 'A notice', sha256: sha256(version), ...changes })
const files = (...notices: Array<Record<string, unknown>>): Record<string, unknown> => ({
  'notices.json': { notices }, ...Object.fromEntries(notices.map(({ version }) => [`notices/${String(version)}.md`, String(version)]))
})

t.test('notices are read in their order, each with its text', async t => {
  const { notices } = await loadCatalog(await makeCatalog(t, files(listed('1', '2026-01-01T00:00:00Z'), listed('2', '2026-06-01T00:00:00+02:00', { material: false, purposes: ['insights'] }))))
  t.same(notices, [
    { version: '1', effectiveFrom: Date.UTC(2026, 0), material: true, purposes: null, title: 'A notice', text: '1', digest: sha256('1') },
    { version: '2', effectiveFrom: Date.UTC(2026, 4, 31, 22), material: false, purposes: ['insights'], title: 'A notice', text: '2', digest: sha256('2') }
  ])
})

t.test('a catalogue without notices has none, and the project\'s own has one', async t => {
  t.same((await loadCatalog(await makeCatalog(t))).notices, [])
  t.match((await loadCatalog(join(import.meta.dirname, '..', '..', 'schemas'))).notices, [{ version: '2026-01', material: false }])
})

const wrong: Record<string, [files: Record<string, unknown>, message: RegExp]> = {
  'a text that has changed': [{ ...files(listed('1', '2026-01-01T00:00:00Z')), 'notices/1.md': 'another' }, /^notices\/1\.md: its text is not the one/],
  'a text that is missing': [{ ...files(listed('1', '2026-01-01T00:00:00Z')), 'notices/1.md': undefined }, /^notices\/1\.md: cannot be read/],
  'a version twice': [files(listed('1', '2026-01-01T00:00:00Z'), listed('1', '2026-02-01T00:00:00Z')), /^notices\.json: 1 is there twice/],
  'a time before the last one': [files(listed('1', '2026-02-01T00:00:00Z'), listed('2', '2026-01-01T00:00:00Z')), /^notices\.json: 2 must take effect after/],
  'an unknown purpose': [files(listed('1', '2026-01-01T00:00:00Z', { purposes: ['nothing'] })), /^notices\.json: 1 names nothing, which is no purpose/],
  'a time without a zone': [files(listed('1', '2026-01-01T00:00:00')), /^notices\.json: \/notices\/0\/effective_from /],
  'a version that leads out of the folder': [files(listed('../1', '2026-01-01T00:00:00Z')), /^notices\.json: \/notices\/0\/version /]
}

t.test('a wrong notice stops the start, and the file is named', async t => {
  for (const [about, [given, message]] of Object.entries(wrong)) {
    await t.rejects(loadCatalog(await makeCatalog(t, given)), { message }, about)
  }
})
