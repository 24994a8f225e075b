import { cruise, type ICruiseResult, type IViolation } from 'dependency-cruiser'
import extractOptions from 'dependency-cruiser/config-utl/extract-depcruise-options'
import extractTypescriptConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..')

/** What dependency-cruiser finds in `folder`/src under the rules of this repository. */
async function cruiseSources (folder: string): Promise<ICruiseResult> {
  const options = await extractOptions(join(root, '.dependency-cruiser.cjs'))
  const tsConfig = extractTypescriptConfig(join(root, 'tsconfig.json'))
  const { output } = await cruise(['src'], { ...options, baseDir: folder }, undefined, { tsConfig })
  if (typeof output === 'string') throw new Error('dependency-cruiser rendered its result instead of returning it')
  return output
}

function sentence ({ rule, from, to }: IViolation): string {
  return `${rule.name}: ${from} → ${to}`
}

t.test('every file imports only what its place allows', async t => {
  const { modules, summary } = await cruiseSources(root)
  const read = new Set(modules.map(module => module.source))
  // Boundary tools are content when they read nothing, so first: did it read the service?
  for (const file of globSync('src/**/*.ts', { cwd: root })) t.ok(read.has(file), `${file} was read`)
  for (const file of ['src/main.ts', 'src/config.ts', 'src/domain/consent.ts', 'src/flows/accept-events.ts', 'src/http/app.ts']) {
    t.ok(read.has(file), `${file} exists`)
  }
  t.ok(modules.find(module => module.source === 'src/main.ts')?.dependencies.some(({ resolved }) => resolved === 'src/config.ts'),
    'its imports were followed')
  t.same(summary.violations.map(sentence), [])
})

t.test('an import that crosses a boundary is caught', async t => {
  const folder = t.testdir({
    'package.json': JSON.stringify({ dependencies: { ioredis: '*', zod: '*' } }),
    src: {
      'main.ts': 'import "./config.ts"\nimport "./redis/store.ts"\n',
      'config.ts': 'import { env } from "node:process"\nexport interface Config { port: string }\nexport const config = env\n',
      domain: {
        'pure.ts': 'export const pure = 1\n',
        'clock.ts': 'import { hrtime } from "node:process"\nexport const clock = hrtime\n',
        'typed.ts': 'import type { Config } from "../config.ts"\nexport type Known = Config\n'
      },
      flows: {
        'ports.ts': 'import { pure } from "../domain/pure.ts"\nexport interface Port { pure: typeof pure }\nexport const value = pure\n',
        'driver.ts': 'import { Redis } from "ioredis"\nexport const driver = Redis\n'
      },
      http: {
        'edge.ts': 'import { store } from "../redis/store.ts"\nexport const edge = store\n'
      },
      redis: {
        'store.ts': 'import { Redis } from "ioredis"\nimport type { Port } from "../flows/ports.ts"\nimport type { Config } from "../config.ts"\nexport const store: [Port, Config] | typeof Redis = Redis\n',
        'flow.ts': 'import { value } from "../flows/ports.ts"\nexport const flow = value\n',
        'settings.ts': 'import { config } from "../config.ts"\nexport const settings = config\n',
        'round.ts': 'import "./trip.ts"\n',
        'trip.ts': 'import "./round.ts"\n',
        'top.ts': 'import "../main.ts"\n'
      },
      mail: {
        'queue.ts': 'import { Redis } from "ioredis"\nexport const queue = Redis\n'
      },
      somewhere: {
        'new.ts': 'import { pure } from "../domain/pure.ts"\nexport const other = pure\n'
      }
    }
  })
  const { summary } = await cruiseSources(folder)
  const found = new Set(summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`))
  t.same([...found].sort(), [
    'domain-is-pure: src/domain/clock.ts',
    'domain-is-pure: src/domain/typed.ts',
    'edges-fill-ports: src/redis/flow.ts',
    'every-part-has-a-rule: src/somewhere/new.ts',
    'flows-import-domain: src/flows/driver.ts',
    'http-imports-flows: src/http/edge.ts',
    'mail-is-an-edge: src/mail/queue.ts',
    'main-is-thin: src/main.ts',
    'no-cycles: src/redis/round.ts',
    'nobody-imports-main: src/redis/top.ts',
    'only-main-reads-config: src/redis/settings.ts',
    'redis-is-an-edge: src/redis/top.ts'
  ])
})

t.test('only config.ts reads the environment', async t => {
  const readers = globSync('src/**/*.ts', { cwd: root }).filter(file =>
    /\bprocess\s*(?:\?\.|\.|\[)\s*['"]?env\b|\benv\b[^'"\n]*from ['"](?:node:)?process['"]/.test(readFileSync(join(root, file), 'utf8')))
  t.same(readers, ['src/config.ts'])
})
