/** Gets at what a service keeps, behind its back, while it is stopped. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openEmbedded, type ClickHouse } from '../../src/clickhouse/client.ts'
import type { Answer } from './api.ts'
import type { TestService } from './service.ts'

/** Stops the service, runs statements on its ClickHouse, forgets its Redis if told to, and starts it again. */
export async function meddle (service: TestService, statements: readonly string[], { wipeRedis = false } = {}): Promise<void> {
  await service.service.close()
  const clickhouse = await openEmbedded(join(service.dataDir, 'clickhouse'))
  try {
    for (const query of statements) await run(clickhouse, query)
  } finally {
    await clickhouse.close()
  }
  if (wipeRedis) await rm(join(service.dataDir, 'redis'), { recursive: true })
  await service.restart()
}

async function run ({ client }: ClickHouse, query: string): Promise<void> {
  await client.command({ query: /^ALTER .* (?:UPDATE|DELETE) /.test(query) ? `${query} SETTINGS mutations_sync = 2` : query })
}

/** Puts `what` in the place of columns of the ledger, as one who can write to ClickHouse would. */
export const edit = (what: string, where: string): string => `ALTER TABLE consent_ledger UPDATE ${what} WHERE ${where}`
export const remove = (where: string, table = 'consent_ledger'): string => `ALTER TABLE ${table} DELETE WHERE ${where}`

export type AsTeam = (method: string, path: string, body?: unknown) => Promise<Answer>

/** Calls the privacy team's routes, with all of its rights unless told otherwise. */
export function asTeam (service: TestService, scope = 'privacy:read privacy:admin'): AsTeam {
  return async (method, path, body) => await service.call(method, `/v1/privacy/${path}`, {
    token: await service.token({ sub: 'team', scope }), headers: { 'purpose-of-use': 'a test' }, ...(body === undefined ? {} : { body })
  })
}
