import { randomBytes } from 'node:crypto'
import t from 'tap'
import { readConfig } from '../../src/config.ts'
import { makeSealedBox } from '../../src/crypto/sealed-box.ts'
import { makeSecretBox, type SecretBox } from '../../src/crypto/secret-box.ts'

const key = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`
const [old, recent] = [key('2025'), key('2026')]
/** A box under the keys as they are configured. */
const boxUnder = (...keys: string[]): SecretBox => makeSecretBox(makeSealedBox(readConfig({ SEAL_KEYS: keys.join(',') }).SEAL_KEYS!))
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

t.test('what was sealed for an account is opened for it', t => {
  const box = boxUnder(old)
  const sealed = box.seal('ada', secret)
  t.equal(box.open('ada', sealed), secret)
  t.notOk(sealed.includes(secret))
  t.notOk(sealed.includes(Buffer.from(secret).toString('base64url')))
  t.end()
})

t.test('the same secret is never sealed into the same text', t => {
  const box = boxUnder(old)
  t.equal(new Set(Array.from({ length: 50 }, () => box.seal('ada', secret))).size, 50)
  t.end()
})

t.test('what was sealed for one account cannot be moved to another', t => {
  const box = boxUnder(old)
  const sealed = box.seal('ada', secret)
  for (const other of ['bob', '', 'ada ', 'totp:ada']) t.throws(() => box.open(other, sealed), JSON.stringify(other))
  t.throws(() => box.resealed('bob', boxUnder(recent, old).seal('ada', secret)), 'nor by sealing it anew')
  t.end()
})

t.test('nor can what was sealed for another use stand for a secret', t => {
  const ring = readConfig({ SEAL_KEYS: old }).SEAL_KEYS!
  const address = makeSealedBox(ring).seal(secret, 'address')
  t.throws(() => makeSecretBox(makeSealedBox(ring)).open('ada', address))
  t.end()
})

t.test('one altered bit, a cut tag or a missing part is refused', t => {
  const box = boxUnder(old)
  const sealed = box.seal('ada', secret)
  const parts = sealed.split('.')
  for (const at of [1, 2, 3]) {
    const bytes = Buffer.from(parts[at]!, 'base64url')
    bytes[0]! ^= 1
    t.throws(() => box.open('ada', parts.with(at, bytes.toString('base64url')).join('.')), `part ${String(at)}`)
    t.throws(() => box.open('ada', parts.with(at, '').join('.')), `part ${String(at)} empty`)
  }
  const shortTag = Buffer.from(parts[2]!, 'base64url').subarray(0, 4).toString('base64url')
  t.throws(() => box.open('ada', parts.with(2, shortTag).join('.')), 'a tag of four bytes')
  for (const text of ['', '.', '...', '2025', '2025...', secret]) t.throws(() => box.open('ada', text), JSON.stringify(text))
  t.end()
})

t.test('after a rotation the old is opened, and sealed anew under the first key', t => {
  const before = boxUnder(old)
  const sealed = before.seal('ada', secret)
  t.equal(before.resealed('ada', sealed), null, 'nothing to do while its key is the first')

  const during = boxUnder(recent, old)
  t.equal(during.open('ada', sealed), secret)
  const anew = during.resealed('ada', sealed)
  t.match(anew, /^2026\./)
  t.equal(during.resealed('ada', anew!), null)

  const after = boxUnder(recent)
  t.equal(after.open('ada', anew!), secret, 'the old key is needed no more')
  t.throws(() => after.open('ada', sealed), { name: 'Unavailable', cause: { message: 'the key that sealed this is not in the ring' } })
  t.end()
})

t.test('an id names a key, and does not replace it', t => {
  const sealed = boxUnder(old).seal('ada', secret)
  t.throws(() => boxUnder(key('2025')).open('ada', sealed), 'another key of the same id')
  t.end()
})
