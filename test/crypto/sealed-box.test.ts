import { randomBytes } from 'node:crypto'
import t from 'tap'
import { makeSealedBox } from '../../src/crypto/sealed-box.ts'

const text = 'der Code lautet 004711 – 🔒'
const old = ['2025', randomBytes(32)] as const
const current = ['2026', randomBytes(32)] as const
const box = makeSealedBox(new Map([current]))

t.test('what was sealed opens again in its own context, and nothing of it shows', async t => {
  for (const secret of [text, '', 'a'.repeat(100_000)]) t.equal(box.open(box.seal(secret, 'mail'), 'mail'), secret)
  const sealed = box.seal(text, 'mail')
  t.match(sealed, /^2026\.[\w-]{16}\.[\w-]{22}\.[\w-]+$/)
  t.notMatch(Buffer.from(sealed.split('.')[3] ?? '', 'base64url').toString(), '004711')
  t.not(box.seal(text, 'mail'), sealed, 'the same text is sealed differently each time')
})

t.test('what was altered does not open', async t => {
  const parts = box.seal(text, 'mail').split('.')
  for (const [index, name] of [[1, 'nonce'], [2, 'tag'], [3, 'text']] as const) {
    const bytes = Buffer.from(parts[index] ?? '', 'base64url')
    for (const position of bytes.keys()) {
      const altered = Buffer.from(bytes)
      altered[position] = (bytes[position] ?? 0) ^ 1
      t.throws(() => box.open(parts.with(index, altered.toString('base64url')).join('.'), 'mail'), `${name}, byte ${position}`)
    }
    t.throws(() => box.open(parts.with(index, '').join('.'), 'mail'), `${name} left out`)
    t.throws(() => box.open(parts.with(index, bytes.subarray(0, -1).toString('base64url')).join('.'), 'mail'), `${name} cut short`)
  }
  t.throws(() => box.open(parts.with(2, Buffer.from(parts[2] ?? '', 'base64url').subarray(0, 4).toString('base64url')).join('.'), 'mail'), 'a tag of 4 bytes')
  for (const nothing of ['', '.', '2026', '2026...']) t.throws(() => box.open(nothing, 'mail'), JSON.stringify(nothing))
})

t.test('it opens in no other context', async t => {
  const sealed = box.seal(text, 'mail')
  for (const context of ['totp', '', 'mail ', 'Mail']) t.throws(() => box.open(sealed, context), JSON.stringify(context))
})

t.test('a key that is not in the ring opens nothing, nor does another key of the same name', async t => {
  const sealed = box.seal(text, 'mail')
  t.throws(() => makeSealedBox(new Map([old])).open(sealed, 'mail'), { message: 'the key that sealed this is not in the ring' })
  t.throws(() => makeSealedBox(new Map([['2026', randomBytes(32)]])).open(sealed, 'mail'))
  t.throws(() => makeSealedBox(new Map([current, old])).open(sealed.replace('2026', '2025'), 'mail'), 'the name of another key in the ring')
  t.throws(() => makeSealedBox(new Map()), { message: 'the ring has no key' })
})

t.test('after a new key was put first, old seals open and new ones are its own', async t => {
  const before = makeSealedBox(new Map([old])).seal(text, 'mail')
  const rotated = makeSealedBox(new Map([current, old]))
  t.equal(rotated.open(before, 'mail'), text)
  const after = rotated.seal(text, 'mail')
  t.match(after, /^2026\./)
  t.equal(rotated.open(after, 'mail'), text)
  t.equal(box.open(after, 'mail'), text, 'the old key is not needed for it')
})
