/** Seals secrets at rest: AES-256-GCM under a ring of keys, bound to what they belong to. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

export interface SealedBox {
  /** `keyId.nonce.tag.ciphertext`, base64url. `context` must be the same when it is opened. */
  seal: (text: string, context: string) => string
  /** @throws when the key is not in the ring, the context is another, or the text was altered */
  open: (sealed: string, context: string) => string
  /** Whether it was sealed by the ring's first key. */
  isCurrent: (sealed: string) => boolean
  /** The text sealed anew by the ring's first key, or null when it is already. Throws as `open` does. */
  resealed: (sealed: string, context: string) => string | null
}

export function makeSealedBox (keys: ReadonlyMap<string, Buffer>): SealedBox {
  const [current] = keys
  if (current === undefined) throw new Error('the ring has no key')
  const [currentId, currentKey] = current

  const isCurrent: SealedBox['isCurrent'] = sealed => sealed.startsWith(`${currentId}.`)
  const seal: SealedBox['seal'] = (text, context) => {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', currentKey, nonce).setAAD(Buffer.from(context))
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return [currentId, ...[nonce, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))].join('.')
  }
  const open: SealedBox['open'] = (sealed, context) => {
    const [keyId = '', nonce = '', tag = '', text = ''] = sealed.split('.')
    const key = keys.get(keyId)
    if (key === undefined) throw new Error('the key that sealed this is not in the ring')
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), { authTagLength: 16 })
    decipher.setAAD(Buffer.from(context)).setAuthTag(Buffer.from(tag, 'base64url'))
    return Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]).toString('utf8')
  }
  return { seal, open, isCurrent, resealed: (sealed, context) => isCurrent(sealed) ? null : seal(open(sealed, context), context) }
}
