import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')

interface Locked { version: string, license?: string, dev?: boolean }
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }
/** What is installed without development packages, on any platform, optional ones included. */
const production = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true)

/** Licences that ask for no more than their notice to be kept. */
const permissive = ['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0']

/** One licence, or an SPDX expression that lets the user choose. Whatever else it says is for a person to read. */
function isPermissive (licence: string): boolean {
  return licence.replace(/^\((.*)\)$/, '$1').split(' OR ').some(choice => permissive.includes(choice))
}

t.test('every package that runs in production has a permissive licence', async t => {
  t.ok(production.length > 100)
  t.same(production.filter(([, { license = 'unknown' }]) => !isPermissive(license)).map(([path, { license }]) => `${path}: ${license ?? 'unknown'}`), [])
  t.notOk(isPermissive('GPL-3.0-only'))
  t.notOk(isPermissive('MIT AND GPL-3.0-only'))
})

t.test('the bill of materials names each of them with its licence, and nothing else', async t => {
  const printed = execFileSync(process.execPath, ['scripts/sbom.mjs'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const bill = JSON.parse(printed) as { bomFormat: string, metadata: { component: { name: string } }, components: Array<{ name: string, version: string, licenses?: unknown[] }> }
  t.match(bill, { bomFormat: 'CycloneDX', metadata: { component: { name: 'assent' } } })
  const named = production.map(([path, { version }]) => `${path.split('node_modules/').at(-1)!}@${version}`)
  t.same(bill.components.map(({ name, version }) => `${name}@${version}`).sort(), [...new Set(named)].sort())
  t.same(bill.components.filter(({ licenses = [] }) => licenses.length === 0), [])
})
