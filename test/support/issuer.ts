/** An issuer of access tokens with a JWK set behind a URL: what it publishes can change, and it can go away. */
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { makeToken, publicJwk, rightClaims, type SigningKey } from './tokens.ts'

export type Algorithm = 'RS256' | 'ES256' | 'EdDSA'

export function makeKey (algorithm: Algorithm, kid: string): SigningKey {
  if (algorithm === 'RS256') return { kid, privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }
  if (algorithm === 'ES256') return { kid, privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }
  return { kid, privateKey: generateKeyPairSync('ed25519').privateKey }
}

export interface Issuer {
  jwksUri: string
  /** Which keys are published from now on. */
  publish: (...keys: SigningKey[]) => void
  /** How often the keys were fetched. */
  fetches: () => number
  /** Answers every fetch with this instead. */
  answer: (status: number, body: string, headers?: Record<string, string>) => void
}

export async function startIssuer (t: Test, ...first: SigningKey[]): Promise<Issuer> {
  let fetches = 0
  let answer: { status: number, body: string, headers?: Record<string, string> } = { status: 200, body: '' }
  const publish = (...keys: SigningKey[]): void => { answer = { status: 200, body: JSON.stringify({ keys: keys.map(publicJwk) }) } }
  publish(...first)
  const server = createServer((_request, response) => {
    fetches++
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(answer.body)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return {
    jwksUri: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/keys`,
    publish,
    fetches: () => fetches,
    answer: (status, body, headers = {}) => { answer = { status, body, headers } }
  }
}

/** A token that is right in everything its key, its issuer and `claims` decide. */
export function issueToken (algorithm: string, key: SigningKey, issuer: string, claims: Record<string, unknown> = {}): string {
  return makeToken({ alg: algorithm, kid: key.kid }, rightClaims({ iss: issuer, ...claims }), key.privateKey)
}
