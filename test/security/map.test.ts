import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')
const pages = ['docs/security.md', 'docs/threat-model.md', 'SECURITY.md'].map(name => ({ name, text: readFileSync(join(root, name), 'utf8') }))
const whole = pages.map(({ text }) => text).join('\n')

/** The names that a test file gives its tests, as they read. */
function namesIn (file: string): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(/\bt\.test\((['"`])((?:\\.|(?!\1).)*)\1/g)].map(([, , name]) => name!.replace(/\\(.)/g, '$1'))
}

/** Every test that the pages cite: a file in code, then names in italics. */
const cited = [...whole.matchAll(/`(test\/[^`]+\.test\.ts)`: (\*[^*]+\*(?:; \*[^*]+\*)*)/g)]
  .flatMap(([, file, names]) => [...names!.matchAll(/\*([^*]+)\*/g)].map(([, name]) => ({ file: file!, name: name! })))

t.test('what the security pages cite exists', async t => {
  const paths = [...whole.matchAll(/`((?:src|test|docs|scripts|migrations)\/[^`\s]*|\.dependency-cruiser\.cjs|eslint\.config\.js)`/g)].map(([, path]) => path!)
  t.ok(paths.length > 60, 'paths were found')
  for (const path of new Set(paths)) t.ok(existsSync(join(root, path)), path)
  t.ok(cited.length > 80, 'tests were found')
  for (const { file, name } of cited) t.ok(existsSync(join(root, file)) && namesIn(file).includes(name), `${file}: ${name}`)
  const files = [...whole.matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map(([, path]) => path!)
  t.strictSame(files.filter(file => !cited.some(one => one.file === file)), [], 'no file is cited without a test of it')
  for (const { name, text } of pages) {
    for (const [, link] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) t.ok(existsSync(join(root, name, '..', link!)), `${name} links to ${link!}`)
  }
})

t.test('every row of the maps names code and a test', async t => {
  const rows = pages[0]!.text.split('\n').filter(line => /^\| (?:API|V)[0-9]/.test(line))
  t.equal(rows.filter(row => row.startsWith('| API')).length, 10)
  t.ok(rows.length > 35)
  for (const row of rows) {
    const [, what, control, shown] = row.split(' | ').length === 3 ? ['', ...row.split(' | ')] : []
    t.ok(what !== undefined && /`(?:src\/|\.dep)/.test(control ?? '') && /`test\/[^`]+`: \*/.test(shown ?? ''), row.slice(0, 40))
  }
})

t.test('a test that was renamed, or never was, would be found', async t => {
  t.ok(namesIn('test/security/map.test.ts').includes('what the security pages cite exists'))
  t.notOk(namesIn('test/security/map.test.ts').includes('what the security pages cite exist'))
})
