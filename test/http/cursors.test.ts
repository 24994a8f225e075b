import t from 'tap'
import { hmacHex, sameHash } from '../../src/crypto/keyed-hash.ts'
import { makeCursors } from '../../src/http/cursors.ts'

const key = Buffer.alloc(32, 7)
const cursors = makeCursors(text => hmacHex(key, text), sameHash)
const refused = { name: 'Problem', slug: 'invalid-request' }

t.test('a cursor says where a page ended, to whom it was given', async t => {
  t.equal(cursors.readFrom(cursors.write(7, 'history:ada'), 'history:ada'), 7)
  t.strictSame(cursors.readPlaceFrom(cursors.write({ at: 7, id: 'a.b' }, 'events:ada'), 'events:ada'), { at: 7, id: 'a.b' })
  t.throws(() => cursors.readFrom(cursors.write(7, 'history:ada'), 'history:bob'), refused)
  t.throws(() => cursors.readFrom(cursors.write(7, 'history:ada'), 'events:ada'), refused)
  t.throws(() => cursors.readFrom(cursors.write({ at: 7, id: 'x' }, 'history:ada'), 'history:ada'), refused, 'of another shape')
})

t.test('where a position ends and a name begins cannot be moved', async t => {
  // Somebody whose account's name holds what separates the two, and the same bytes cut in another place.
  const theirs = cursors.write(7, 'history:x:history:ada')
  const signature = Buffer.from(theirs, 'base64url').toString().split('.').at(-1)!
  const moved = Buffer.from(`7:history:x.${signature}`).toString('base64url')
  t.throws(() => cursors.readFrom(moved, 'history:ada'), refused)
})
