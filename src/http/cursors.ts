/** Cursors of pages: signed, so that one can be neither made up nor used by another, nor for another question. */
import { z } from 'zod'
import { Problem } from './problem.ts'

/** Where a page ended in a list by time, in which several may share a millisecond. `at`: epoch ms; `id`: a UUID. */
export interface Place { at: number, id: string }

/** `owner` says who asked what: a cursor is good for the same again. */
export interface Cursors {
  /** `position`: what JSON can hold. */
  write: (position: number | object, owner: string) => string
  /** The position of a cursor; undefined where none is given. Throws `Problem` for one that was not given to this owner. */
  readFrom: (cursor: string | undefined, owner: string) => number | undefined
  /** The same for a list by time. */
  readPlaceFrom: (cursor: string | undefined, owner: string) => Place | undefined
  /** The same for any position; `shape`: of what is written for this owner. */
  readAs: <Position>(cursor: string | undefined, owner: string, shape: z.ZodType<Position>) => Position | undefined
}

const placeShape = z.object({ at: z.number(), id: z.string() })

/** `sign`: a keyed hash. `same` compares two of them in constant time. */
export function makeCursors (sign: (text: string) => string, same: (a: string, b: string) => boolean): Cursors {
  const signatureOf = (position: string, owner: string): string => sign(`cursor:${JSON.stringify([position, owner])}`).slice(0, 32)

  const readAs: Cursors['readAs'] = (cursor, owner, shape) => {
    if (cursor === undefined) return undefined
    const [, text = '', signature = ''] = /^(.*)\.([^.]*)$/s.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
    // What is signed was written here; it may be of another shape when it was written by an older release.
    const read = same(signatureOf(text, owner), signature) ? shape.safeParse(JSON.parse(text)) : undefined
    if (read?.success === true) return read.data
    throw new Problem('invalid-request', { errors: [{ pointer: '/cursor', detail: 'is not a cursor that was given to you for this' }] })
  }

  return {
    write (position, owner) {
      const text = JSON.stringify(position)
      return Buffer.from(`${text}.${signatureOf(text, owner)}`).toString('base64url')
    },
    readFrom: (cursor, owner) => readAs(cursor, owner, z.number()),
    readPlaceFrom: (cursor, owner) => readAs(cursor, owner, placeShape),
    readAs
  }
}
