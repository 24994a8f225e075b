import type { Test } from 'tap'
import { readConfig, variableNames, type Config } from '../../src/config.ts'

export type Role = 'collector' | 'writer' | 'api'
export const roles: readonly Role[] = ['collector', 'writer', 'api']

const key = Buffer.alloc(32, 1).toString('base64')
const keys: Readonly<Record<string, string>> = { PSEUDONYM_KEY: key, LEDGER_KEY: key, VERIFICATION_PEPPER: key, SEAL_KEYS: `first:${key}` }
/** Read by Node and the C library themselves. */
const nodesOwn = ['UV_THREADPOOL_SIZE', 'NODE_OPTIONS', 'MALLOC_ARENA_MAX']

/** The settings that an example comes to in production, once somebody has filled in the keys. Nothing else may be left to fill in. */
export function readExample (t: Test, example: Readonly<Record<string, string>>): Config {
  t.same(Object.keys(example).filter(name => !variableNames.includes(name) && !nodesOwn.includes(name)), [], 'every variable is one that the service reads')
  t.same(Object.keys(example).filter(name => example[name] === '').sort(), Object.keys(keys).sort(), 'no key is given away')
  const config = readConfig({ ...example, ...keys })
  t.ok(config.production)
  return config
}
