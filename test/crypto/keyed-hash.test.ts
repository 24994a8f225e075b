import { createSecretKey } from 'node:crypto'
import t from 'tap'
import { hmacHex, makePseudonym, randomDigits, sameHash, sha256Hex } from '../../src/crypto/keyed-hash.ts'

t.test('the keyed hash is HMAC-SHA-256 (RFC 4231), the other SHA-256 (FIPS 180-4)', async t => {
  const vectors: Array<[key: Buffer, text: string, mac: string]> = [
    [Buffer.alloc(20, 0x0b), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [Buffer.from('Jefe'), 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
    [Buffer.alloc(131, 0xaa), 'Test Using Larger Than Block-Size Key - Hash Key First', '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54']
  ]
  for (const [key, text, mac] of vectors) {
    t.equal(hmacHex(key, text), mac)
    t.equal(hmacHex(createSecretKey(key), text), mac)
  }
  t.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

t.test('a pseudonym is the same for the same thing only, and empty for nothing', async t => {
  const pseudonym = makePseudonym(Buffer.alloc(32, 1))
  const other = makePseudonym(Buffer.alloc(32, 2))
  t.equal(pseudonym('account', 'ada'), pseudonym('account', 'ada'))
  t.equal(pseudonym('account', 'ada'), hmacHex(Buffer.alloc(32, 1), 'account:ada').slice(0, 32), 'it never changes, since stored events are found by it')
  const all = [pseudonym('account', 'ada'), pseudonym('device', 'ada'), pseudonym('account', 'bob'), pseudonym('account', 'Ada'), other('account', 'ada'), pseudonym('account', '')]
  for (const found of all) t.match(found, /^[0-9a-f]{32}$/)
  t.equal(new Set(all).size, all.length)
  t.equal(pseudonym('account', undefined), '')
  t.equal(pseudonym('device', undefined), '')
})

t.test('hashes are the same when every character is', async t => {
  const hash = sha256Hex('abc')
  t.ok(sameHash(hash, sha256Hex('abc')))
  t.notOk(sameHash(hash, `${hash.slice(0, -1)}0`))
  t.notOk(sameHash(hash, hash.toUpperCase()))
  for (const shorter of ['', hash.slice(0, -1), `${hash}0`]) t.notOk(sameHash(hash, shorter), 'nor does another length throw')
})

t.test('random digits are all as likely, at every place, and leading zeros stay', async t => {
  const drawn = Array.from({ length: 20_000 }, () => randomDigits(6))
  t.ok(drawn.every(digits => /^[0-9]{6}$/.test(digits)))
  for (const place of Array(6).keys()) {
    const counts = Array<number>(10).fill(0)
    for (const digits of drawn) counts[Number(digits[place])]! += 1
    // 2000 of each are expected; 300 more or less is seven standard deviations.
    t.ok(counts.every(count => Math.abs(count - 2000) < 300), `place ${place}: ${counts.join()}`)
  }
  t.ok(new Set(drawn).size > 19_500, 'they seldom come again')
  t.match(randomDigits(10), /^[0-9]{10}$/)
})
