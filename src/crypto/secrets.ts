/** Keys of the service: given by its configuration, or made once and kept in the data directory for development. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWK } from 'jose'

export interface Secrets {
  pseudonymKey: Buffer
  ledgerKey: Buffer
  /** Keys what is compared but never read back: codes and cursors. */
  verificationPepper: Buffer
  /** AES-256 keys by id; the first seals, all open. */
  sealKeys: ReadonlyMap<string, Buffer>
  /** Private keys (JWK, Ed25519, with `kid`); the first signs, all verify. */
  verificationKeys: readonly JWK[]
  /** The development issuer's key, in development only. */
  developmentKey?: JWK
}

interface StoredSecrets { pseudonym_key: string, ledger_key: string, verification_pepper: string, seal_keys: Record<string, string>, verification_keys: JWK[], development_key: JWK }

/** The development secrets of a data directory, made at the first start. */
export async function developmentSecrets (dataDir: string): Promise<Secrets & { developmentKey: JWK }> {
  const file = join(dataDir, 'keys', 'development.json')
  const stored = await readStored(file) ?? await makeAndStore(dataDir, file)
  return {
    pseudonymKey: Buffer.from(stored.pseudonym_key, 'base64'),
    ledgerKey: Buffer.from(stored.ledger_key, 'base64'),
    verificationPepper: Buffer.from(stored.verification_pepper, 'base64'),
    sealKeys: new Map(Object.entries(stored.seal_keys).map(([id, key]) => [id, Buffer.from(key, 'base64')])),
    verificationKeys: stored.verification_keys,
    developmentKey: stored.development_key
  }
}

/** The secrets that were configured. `verificationKeysFile` is a JWK set with private Ed25519 keys, each with a kid. */
export async function configuredSecrets (given: {
  pseudonymKey: Buffer, ledgerKey: Buffer, verificationPepper: Buffer, sealKeys: ReadonlyMap<string, Buffer>, verificationKeysFile: string
}): Promise<Secrets> {
  const { verificationKeysFile: file, ...keys } = given
  const set = await readFile(file, 'utf8').then(text => JSON.parse(text) as { keys?: JWK[] }).catch((cause: unknown) => {
    throw new Error(`VERIFICATION_KEYS_FILE ${file} cannot be read as JSON`, { cause })
  })
  const usable = (key: JWK): boolean => key.kty === 'OKP' && key.crv === 'Ed25519' && key.d !== undefined && key.kid !== undefined
  if (set.keys === undefined || set.keys.length === 0 || !set.keys.every(usable)) {
    throw new Error(`VERIFICATION_KEYS_FILE ${file} must be a JWK set of private Ed25519 keys, each with a kid`)
  }
  const twice = set.keys.find(({ kid }, index, all) => all.findIndex(other => other.kid === kid) !== index)
  if (twice !== undefined) throw new Error(`VERIFICATION_KEYS_FILE ${file} has two keys with the kid ${JSON.stringify(twice.kid)}`)
  return { ...keys, verificationKeys: set.keys }
}

async function readStored (file: string): Promise<StoredSecrets | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as StoredSecrets
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`${file} cannot be read; restore it, since the ledger is sealed with its keys`, { cause: error })
  }
}

async function makeAndStore (dataDir: string, file: string): Promise<StoredSecrets> {
  const key = (): string => randomBytes(32).toString('base64')
  const made: StoredSecrets = {
    pseudonym_key: key(),
    ledger_key: key(),
    verification_pepper: key(),
    seal_keys: { dev: key() },
    verification_keys: [await makeSigningKey('verification-dev')],
    development_key: await makeSigningKey('issuer-dev')
  }
  await mkdir(join(dataDir, 'keys'), { recursive: true, mode: 0o700 })
  await writeFile(`${file}.new`, JSON.stringify(made, null, 2), { mode: 0o600, flush: true })
  await rename(`${file}.new`, file)
  return made
}

async function makeSigningKey (kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  return { ...await exportJWK(privateKey), kid, alg: 'EdDSA', use: 'sig' }
}
