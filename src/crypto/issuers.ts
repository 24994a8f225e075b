/** The issuers whose access tokens are believed, and where their keys are. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { createLocalJWKSet, createRemoteJWKSet, errors, exportSPKI, type CryptoKey, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose'
import { z } from 'zod'
import { scopes, type AccountKind, type Scope } from '../domain/caller.ts'
import { Unavailable } from '../domain/unavailable.ts'

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const

const issuersFile = z.strictObject({
  issuers: z.array(z.strictObject({
    issuer: z.string().min(1),
    audience: z.string().min(1),
    algorithms: z.array(z.enum(algorithms)).min(1),
    jwks_uri: z.url({ protocol: /^https?$/ }).optional(),
    jwks_file: z.string().min(1).optional(),
    namespace: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/).refine(name => name !== 'device', 'device is reserved').optional(),
    account_kind: z.enum(['personal', 'organization']).optional(),
    scopes: z.array(z.enum(scopes)).min(1).optional()
  }).refine(({ jwks_uri: uri, jwks_file: file }) => (uri === undefined) !== (file === undefined), 'give jwks_uri or jwks_file')).min(1)
})

export interface Issuer {
  issuer: string
  audience: string
  algorithms: Array<typeof algorithms[number]>
  /** Put before the subject of a token, when several issuers are configured. */
  namespace: string | undefined
  /** The kind of its accounts; a token's claim may say otherwise. */
  accountKind: AccountKind
  /** What its tokens may let their bearers do; undefined for everything. */
  scopes: readonly Scope[] | undefined
  /**
   * The public key of a token's header, PEM; undefined for a key that the issuer does not have.
   * Throws `Unavailable` when the issuer's keys cannot be fetched.
   */
  publicKey: (header: JWSHeaderParameters) => Promise<string | undefined>
}

type KeySet = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/**
 * `production`: keys are fetched over TLS or from this machine only, since whoever can answer for an issuer can be anybody.
 * @throws an error that names the file and what is wrong with it
 */
export async function loadIssuers (file: string, { production }: { production: boolean }): Promise<Issuer[]> {
  const parsed = issuersFile.safeParse(await readJson(file))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Error(`${file}: ${(issue?.path ?? []).join('/')} ${issue?.message ?? 'is not valid'}`)
  }
  const { issuers } = parsed.data
  if (new Set(issuers.map(({ issuer }) => issuer)).size < issuers.length) throw new Error(`${file}: an issuer is there twice`)
  if (production && issuers.some(({ jwks_uri: uri }) => uri !== undefined && !isPrivate(new URL(uri)))) throw new Error(`${file}: a jwks_uri must be https in production, or on this machine`)
  const namespaces = issuers.map(({ namespace }) => namespace)
  if (issuers.length > 1 && (namespaces.includes(undefined) || new Set(namespaces).size < issuers.length)) {
    throw new Error(`${file}: several issuers need a namespace each, so that their subjects cannot meet`)
  }
  return await Promise.all(issuers.map(async ({ jwks_uri: uri, jwks_file: keyFile, account_kind: kind, ...issuer }) => ({
    issuer: issuer.issuer,
    audience: issuer.audience,
    algorithms: issuer.algorithms,
    namespace: issuer.namespace,
    accountKind: kind ?? 'personal',
    scopes: issuer.scopes,
    publicKey: makePublicKey(uri === undefined
      ? await readKeySet(resolve(dirname(file), keyFile ?? ''))
      : createRemoteJWKSet(new URL(uri), { timeoutDuration: 2000, cooldownDuration: 30_000 }))
  })))
}

/** Whether nobody in between can read or change what comes from an address. */
function isPrivate ({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.[0-9]+){3}$/.test(hostname)
}

/** Keys are looked up by the configured address alone; nothing of a token decides where. */
export function makePublicKey (keySet: KeySet): Issuer['publicKey'] {
  const pems = new WeakMap<CryptoKey, string>()
  return async header => {
    try {
      const key = await keySet(header, { payload: '', signature: '' })
      const pem = pems.get(key) ?? await exportSPKI(key)
      pems.set(key, pem)
      return pem
    } catch (error) {
      const unknown = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported, errors.JWKInvalid]
      if (unknown.some(kind => error instanceof kind)) return undefined
      throw new Unavailable('the issuer of this token', { cause: error })
    }
  }
}

async function readKeySet (file: string): Promise<KeySet> {
  const content = await readJson(file) as JSONWebKeySet
  try {
    return createLocalJWKSet(content)
  } catch (cause) {
    throw new Error(`${file} is not a JWK set`, { cause })
  }
}

async function readJson (file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new Error(`${file} cannot be read as JSON`, { cause })
  }
}
