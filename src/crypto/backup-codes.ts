/** Backup codes: made at random, kept only as salted, peppered hashes. */
import { randomBytes, randomInt, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { backupCodeCount, backupCodeLength, backupCodeSymbols } from '../domain/verification.ts'

export interface BackupCodes {
  /** Ten codes as they are shown, once, and their hashes by slot. */
  make: (accountId: string) => Promise<{ codes: string[], hashes: Record<string, string> }>
  /** `code` in its plain form. */
  matches: (accountId: string, code: string, hash: string) => Promise<boolean>
}

/** 8 MiB and some 20 ms: the codes have 75 random bits, so this only has to make a stolen table dear. */
const cost: ScryptOptions = { N: 8192, r: 8, p: 1 }
const hashBytes = 32

/** `pepper`: a keyed hash under a key that is not where the hashes are. */
export function makeBackupCodes (pepper: (text: string) => string): BackupCodes {
  // One at a time, so that people who verify cannot fill the thread pool that intake needs.
  let last: Promise<unknown> = Promise.resolve()
  const hash = async (accountId: string, code: string, salt: Buffer): Promise<Buffer> => {
    const turn = last.then(async () => await stretch(pepper(`backup-code:${accountId}:${code}`), salt))
    last = turn.catch(() => {})
    return await turn
  }

  return {
    async make (accountId) {
      const plain = Array.from({ length: backupCodeCount }, (_, slot) => randomCode(backupCodeSymbols.charAt(slot)))
      const hashes: Record<string, string> = {}
      for (const code of plain) {
        const salt = randomBytes(16)
        hashes[code.charAt(0)] = `${salt.toString('base64url')}.${(await hash(accountId, code, salt)).toString('base64url')}`
      }
      return { codes: plain.map(code => code.replace(/(.{4})(?=.)/g, '$1-')), hashes }
    },
    async matches (accountId, code, stored) {
      const [salt = '', expected = ''] = stored.split('.').map(part => Buffer.from(part, 'base64url'))
      const found = await hash(accountId, code, Buffer.from(salt))
      return expected.length === found.length && timingSafeEqual(Buffer.from(expected), found)
    }
  }
}

function randomCode (slot: string): string {
  return slot + Array.from({ length: backupCodeLength - 1 }, () => backupCodeSymbols.charAt(randomInt(backupCodeSymbols.length))).join('')
}

async function stretch (text: string, salt: Buffer): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    scrypt(text, salt, hashBytes, cost, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}
