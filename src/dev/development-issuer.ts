/** An issuer of access tokens for development: whoever asks gets the token they ask for. */
import { createLocalJWKSet, importJWK, SignJWT, type JWK } from 'jose'
import { makePublicKey, type Issuer } from '../crypto/issuers.ts'

export interface TokenRequest {
  sub?: string | undefined
  email?: string | undefined
  scope: string
  device_id?: string | undefined
  org_id?: string | undefined
  account_kind?: 'personal' | 'organization' | undefined
  region?: string | undefined
  auth_time?: number | undefined
  expires_in?: number | undefined
}

export interface DevelopmentIssuer {
  issuer: Issuer
  mint: (request: TokenRequest) => Promise<{ access_token: string, expires_in: number }>
}

const issuer = 'urn:assent:development'
const audience = 'assent'

/** `key`: a private Ed25519 JWK with `kid`. */
export async function makeDevelopmentIssuer (key: JWK, now: () => number, newId: () => string): Promise<DevelopmentIssuer> {
  const signingKey = await importJWK(key, 'EdDSA')
  const { kty, crv, x, kid } = key
  const keySet = createLocalJWKSet({ keys: [{ kty, crv, x, kid, alg: 'EdDSA', use: 'sig' } as JWK] })
  return {
    issuer: { issuer, audience, algorithms: ['EdDSA'], namespace: undefined, accountKind: 'personal', scopes: undefined, publicKey: makePublicKey(keySet) },
    async mint ({ expires_in: expiresIn = 3600, sub, ...claims }) {
      const issuedAt = Math.floor(now() / 1000)
      const subject = sub ?? (claims.device_id === undefined ? 'anonymous' : `device:${claims.device_id}`)
      const token = await new SignJWT({ ...claims, ...(claims.email === undefined ? {} : { email_verified: true }), sub: subject, sid: newId() })
        .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid: kid ?? '' })
        .setIssuer(issuer).setAudience(audience).setIssuedAt(issuedAt).setExpirationTime(issuedAt + expiresIn)
        .sign(signingKey)
      return { access_token: token, expires_in: expiresIn }
    }
  }
}
