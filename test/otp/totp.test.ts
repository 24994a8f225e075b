import t from 'tap'
import { makeTotp } from '../../src/otp/totp.ts'

const totp = makeTotp('Assent')
/** `12345678901234567890`, the secret of both RFCs, in base32. */
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

t.test('every SHA-1 row of RFC 6238, in its last six digits', async t => {
  const rows = [
    [59, '94287082'], [1_111_111_109, '07081804'], [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'], [2_000_000_000, '69279037'], [20_000_000_000, '65353130']
  ] as const
  for (const [seconds, code] of rows) {
    t.equal(await totp.matchStep(secret, code.slice(2), seconds * 1000), Math.floor(seconds / 30), `${code} at ${String(seconds)} s`)
  }
})

const counted = ['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489']

t.test('every row of RFC 4226, the counter read as a time step', async t => {
  for (const [step, code] of counted.entries()) t.equal(await totp.matchStep(secret, code, step * 30_000), step, code)
})

t.test('a code is right in its own step and in one either way, from the first to the last moment', async t => {
  for (const step of [2, 3, 4, 5, 6, 7]) {
    const [code, start] = [counted[step]!, step * 30_000]
    for (const at of [start - 30_000, start - 1, start, start + 29_999, start + 30_000, start + 59_999]) {
      t.equal(await totp.matchStep(secret, code, at), step, `${code} at ${String(at)} ms`)
    }
    for (const at of [start - 60_000, start - 30_001, start + 60_000, start + 89_999]) {
      t.equal(await totp.matchStep(secret, code, at), undefined, `${code} at ${String(at)} ms`)
    }
  }
})

t.test('a code of another secret is wrong', async t => {
  const [mine, other] = [totp.newSecret(), totp.newSecret()]
  t.not(mine, other)
  // Six digits may agree by chance, ten codes in a row may not.
  const found = await Promise.all(counted.map(async (code, step) => await totp.matchStep(mine, code, step * 30_000)))
  t.ok(found.some(step => step === undefined))
})

t.test('a secret is 32 characters of base32 without padding', t => {
  const secrets = Array.from({ length: 200 }, () => totp.newSecret())
  for (const made of secrets) t.match(made, /^[A-Z2-7]{32}$/)
  t.equal(new Set(secrets).size, 200, 'none twice')
  t.end()
})

t.test('what an app reads names issuer and account, and spells out nothing but what every app supports', t => {
  const read = new URL(totp.uri('ada@example.com', secret))
  t.equal(read.protocol, 'otpauth:')
  t.equal(read.host, 'totp')
  t.equal(decodeURIComponent(read.pathname), '/Assent:ada@example.com')
  t.match(Object.fromEntries(read.searchParams), { secret, issuer: 'Assent' })
  for (const [name, only] of [['algorithm', 'SHA1'], ['digits', '6'], ['period', '30']] as const) {
    t.equal(read.searchParams.get(name) ?? only, only, name)
  }
  t.end()
})

t.test('a label with colons, or with what a URI cannot hold as it is, still has two parts', t => {
  for (const [label, shown] of [['urn:acme:ada', 'urn acme ada'], ['::', '  '], ['a b?c#d&e/f%3A', 'a b?c#d&e/f%3A'], ['jörg+x@exämple.com', 'jörg+x@exämple.com']] as const) {
    const read = new URL(makeTotp('Acme: Tools').uri(label, secret))
    const parts = decodeURIComponent(read.pathname.slice(1)).split(':')
    t.equal(parts.length, 2, label)
    t.same(parts.map(part => part.trim()), ['Acme  Tools', shown.trim()])
    t.equal(read.searchParams.get('secret'), secret)
    t.equal(read.searchParams.get('issuer'), 'Acme  Tools')
    t.equal(read.hash, '')
  }
  t.end()
})
