/** The service's own short tokens: minted when a person has proved who they are, spent by one change. */
import { createLocalJWKSet, importJWK, jwtVerify, SignJWT, type JWK } from 'jose'
import type { VerificationClaims } from '../domain/verification.ts'

export interface VerificationTokens {
  mint: (claims: VerificationClaims) => Promise<string>
  /** The claims of a token that was signed here and has not expired, else undefined. */
  read: (token: string) => Promise<VerificationClaims | undefined>
  /** The public keys, as a JWK set (RFC 7517). */
  publicKeys: { keys: JWK[] }
}

const issuer = 'urn:assent:verification'
const type = 'verification+jwt'

/** `keys`: private Ed25519 JWKs with `kid`; the first signs, all verify. */
export async function makeVerificationTokens (keys: readonly JWK[], now: () => number): Promise<VerificationTokens> {
  const [current] = keys
  if (current?.kid === undefined) throw new Error('a verification key needs a kid')
  const kid = current.kid
  const signingKey = await importJWK(current, 'EdDSA')
  const publicKeys = { keys: keys.map(({ kty, crv, x, kid }) => ({ kty, crv, x, kid, alg: 'EdDSA', use: 'sig' }) as JWK) }
  const keySet = createLocalJWKSet(publicKeys)
  return {
    mint: async claims => await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'EdDSA', typ: type, kid }).setIssuer(issuer).sign(signingKey),
    async read (token) {
      try {
        const { payload } = await jwtVerify(token, keySet, { issuer, typ: type, algorithms: ['EdDSA'], currentDate: new Date(now()) })
        return payload as unknown as VerificationClaims
      } catch {
        return undefined // Whatever is wrong with it, it pays for nothing.
      }
    },
    publicKeys
  }
}
