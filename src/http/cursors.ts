/** Cursors of pages: signed, so that one can be neither made up nor used by another. */

export interface Cursors {
  write: (position: number, owner: string) => string
  /** Undefined for a cursor that was not given to this owner. */
  read: (cursor: string, owner: string) => number | undefined
}

/** `sign`: a keyed hash. `same` compares two of them in constant time. */
export function makeCursors (sign: (text: string) => string, same: (a: string, b: string) => boolean): Cursors {
  const signatureOf = (position: string, owner: string): string => sign(`cursor:${position}:${owner}`).slice(0, 32)
  return {
    write: (position, owner) => Buffer.from(`${String(position)}.${signatureOf(String(position), owner)}`).toString('base64url'),
    read (cursor, owner) {
      const [position = '', signature = ''] = Buffer.from(cursor, 'base64url').toString('latin1').split('.')
      return /^[0-9]{1,15}$/.test(position) && same(signatureOf(position, owner), signature) ? Number(position) : undefined
    }
  }
}
