/** Cursors of pages: signed, so that one can be neither made up nor used by another. */
import { Problem } from './problem.ts'

export interface Cursors {
  write: (position: number, owner: string) => string
  /** The position of a cursor; undefined where none is given. Throws `Problem` for one that was not given to this owner. */
  readFrom: (cursor: string | undefined, owner: string) => number | undefined
}

/** `sign`: a keyed hash. `same` compares two of them in constant time. */
export function makeCursors (sign: (text: string) => string, same: (a: string, b: string) => boolean): Cursors {
  const signatureOf = (position: string, owner: string): string => sign(`cursor:${position}:${owner}`).slice(0, 32)
  return {
    write: (position, owner) => Buffer.from(`${String(position)}.${signatureOf(String(position), owner)}`).toString('base64url'),
    readFrom (cursor, owner) {
      if (cursor === undefined) return undefined
      const [position = '', signature = ''] = Buffer.from(cursor, 'base64url').toString('latin1').split('.')
      if (/^[0-9]{1,15}$/.test(position) && same(signatureOf(position, owner), signature)) return Number(position)
      throw new Problem('invalid-request', { errors: [{ pointer: '/cursor', detail: 'is not a cursor that was given to you' }] })
    }
  }
}
