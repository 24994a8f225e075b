/** Keyed hashes: pseudonyms, the ledger's chain, codes, cursors. */
import { createHash, createHmac, createSecretKey, randomInt, timingSafeEqual, type KeyObject } from 'node:crypto'

/** HMAC-SHA-256 in hex. */
export function hmacHex (key: Buffer | KeyObject, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex')
}

/** `hmacHex` with a key that is made ready once. */
export function sealWith (key: Buffer): (text: string) => string {
  const ready = createSecretKey(key)
  return text => hmacHex(ready, text)
}

/** SHA-256 in hex. */
export function sha256Hex (text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** SHA-256 in hex of what is fed to it piece by piece. */
export function makeDigest (): { update: (bytes: string | Uint8Array) => void, hex: () => string } {
  const hash = createHash('sha256')
  return { update: bytes => { hash.update(bytes) }, hex: () => hash.digest('hex') }
}

/** Of accounts and devices, how many are remembered. */
const pseudonymsMax = 10_000

/** Stands for an account or a device where nobody should see which: 128 bits in hex; empty for none. Those that come often are remembered. */
export function makePseudonym (key: Buffer): (kind: 'account' | 'device', id: string | undefined) => string {
  const ready = createSecretKey(key)
  const known = new Map<string, string>()
  return (kind, id) => {
    if (id === undefined) return ''
    const name = `${kind}:${id}`
    const found = known.get(name)
    if (found !== undefined) return found
    const pseudonym = hmacHex(ready, name).slice(0, 32)
    const [oldest] = known.keys()
    if (known.size >= pseudonymsMax && oldest !== undefined) known.delete(oldest)
    known.set(name, pseudonym)
    return pseudonym
  }
}

/** Compares two hashes of the same length in constant time. */
export function sameHash (a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** Uniform random digits, leading zeros kept. */
export function randomDigits (count: number): string {
  return Array.from({ length: count }, () => String(randomInt(10))).join('')
}
