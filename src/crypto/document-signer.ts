/** Signs documents that people keep, so that anybody can check later that the service wrote them. */
import { CompactSign, importJWK, type JWK } from 'jose'

/** A compact JWS (RFC 7515) over a document; `type` becomes its `typ` and says what kind of document it is. */
export type SignDocument = (document: Record<string, unknown>, type: string) => Promise<string>

/**
 * `keys`: private Ed25519 JWKs with `kid`; the first signs (RFC 8037). Its public half is at /.well-known/jwks.json,
 * and has to stay there for as long as what it signed is to be checked.
 */
export async function makeDocumentSigner (keys: readonly JWK[]): Promise<SignDocument> {
  const [current] = keys
  if (current?.kid === undefined) throw new Error('a verification key needs a kid')
  const { kid } = current
  const key = await importJWK(current, 'EdDSA')
  return async (document, type) =>
    await new CompactSign(new TextEncoder().encode(JSON.stringify(document))).setProtectedHeader({ alg: 'EdDSA', typ: type, kid }).sign(key)
}
