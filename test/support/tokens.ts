/** Signs access tokens, right ones and wrong ones: nothing here minds what it signs. */
import { constants, createHmac, createPrivateKey, createPublicKey, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface SigningKey { kid: string, privateKey: KeyObject }

/** What a token signed for the development issuer claims unless it is told otherwise. */
export function rightClaims (claims: Record<string, unknown> = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  return { iss: 'urn:assent:development', aud: 'assent', sub: 'ada', scope: 'telemetry:write settings', iat: now, exp: now + 600, ...claims }
}

/** The key that the development issuer of a data directory signs with. */
export async function developmentKey (dataDir: string): Promise<SigningKey> {
  const { development_key: jwk } = JSON.parse(await readFile(join(dataDir, 'keys', 'development.json'), 'utf8')) as { development_key: JsonWebKey & { kid: string } }
  return { kid: jwk.kid, privateKey: createPrivateKey({ key: jwk, format: 'jwk' }) }
}

/** The public half, as it stands in a JWK set. */
export function publicJwk ({ kid, privateKey }: SigningKey): JsonWebKey {
  return { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid }
}

export function publicPem ({ privateKey }: SigningKey): string {
  return createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }).toString()
}

export function encodePart (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A compact JWS. `payload` may be JSON text that is no claims at all. */
export function makeToken (header: Record<string, unknown> & { alg: string }, payload: unknown, key: KeyObject | string): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`
  return `${input}.${signatureOf(header.alg, Buffer.from(input), key).toString('base64url')}`
}

function signatureOf (algorithm: string, input: Buffer, key: KeyObject | string): Buffer {
  if (typeof key === 'string') return createHmac('sha256', key).update(input).digest()
  switch (algorithm) {
    case 'RS256': return sign('sha256', input, key)
    case 'PS256': return sign('sha256', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
    case 'ES256': return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
    default: return sign(null, input, key)
  }
}
