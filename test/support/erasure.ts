/** Erasures as people and the privacy team ask for them, and what the tables hold of a person. */
import { join } from 'node:path'
import type { Test } from 'tap'
import { openEmbedded } from '../../src/clickhouse/client.ts'
import { makePseudonym } from '../../src/crypto/keyed-hash.ts'
import { eventually, type TestService } from './service.ts'
import type { Answer, Api, Person } from './api.ts'

/** The pseudonym key that tests give a service, so that they can look for a person's rows. */
const pseudonymKey = Buffer.alloc(32, 7)
const pseudonym = makePseudonym(pseudonymKey)
export const knownKey = { PSEUDONYM_KEY: pseudonymKey.toString('base64') }

export const accountRef = (account: string): string => pseudonym('account', account)
export const deviceRef = (device: string): string => pseudonym('device', device)

export async function eraseMe (api: Api, person: Person): Promise<Answer> {
  return await api.call('POST', '/v1/me/erasure', {
    token: person.token, headers: { 'verification-token': await api.verify(person.token, person.email, 'data.erase') }
  })
}

export async function eraseFor (api: Api, body: Record<string, unknown>, token?: string): Promise<Answer> {
  return await api.call('POST', '/v1/privacy/erasures', {
    token: token ?? await api.token({ sub: 'team', scope: 'privacy:admin' }), body, headers: { 'purpose-of-use': 'a request by letter' }
  })
}

export async function findErasure (api: Api, id: string): Promise<Answer> {
  return await api.call('GET', `/v1/privacy/erasures/${id}`, { token: await api.token({ sub: 'team', scope: 'privacy:read' }), headers: { 'purpose-of-use': 'a request by letter' } })
}

/** The certificate, once there is one. */
export async function certificateOf (api: Api, id: string): Promise<Record<string, any>> {
  let certificate: Record<string, any> | undefined
  await eventually('the erasure is certified', async () => {
    certificate = (await findErasure(api, id)).body['certificate'] as typeof certificate
    return certificate !== undefined
  }, 30_000)
  return certificate!
}

/** Counts the rows that lie in the files of a table, hidden ones too, which the console does not show. */
export async function openFiles (t: Test, service: Pick<TestService, 'dataDir'>): Promise<(table: string, where: string) => Promise<number>> {
  const { client, close } = await openEmbedded(join(service.dataDir, 'clickhouse'))
  t.teardown(close)
  return async (table, where) => {
    const answer = await client.query({ query: `SELECT count() AS n FROM ${table} WHERE ${where} SETTINGS apply_deleted_mask = 0`, format: 'JSONEachRow' })
    return Number((await answer.json<{ n: number | string }>())[0]?.n)
  }
}
