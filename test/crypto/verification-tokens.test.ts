import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { JWK } from 'jose'
import t from 'tap'
import { makeVerificationTokens } from '../../src/crypto/verification-tokens.ts'
import type { VerificationClaims } from '../../src/domain/verification.ts'
import { encodePart, makeToken } from '../support/tokens.ts'

const startMs = Date.UTC(2026, 2, 1)
const issuer = 'urn:assent:verification'

const claims: VerificationClaims = {
  sub: 'ada', sid: 'session-1', purpose: 'privacy.update', jti: 'c0ffee', auth_time: startMs / 1000, acr: 'urn:assent:acr:email', amr: ['mca', 'email'],
  security_version: 3, change_digest: 'ab'.repeat(32), exp: startMs / 1000 + 300
}

function makeJwk (kid: string): JWK {
  return { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' }
}

const privateKeyOf = (jwk: JWK) => createPrivateKey({ key: jwk, format: 'jwk' })
const key = makeJwk('one')
const clock = { ms: startMs }
const tokens = await makeVerificationTokens([key], () => clock.ms)

/** A token that is signed with the right key and right in everything else unless it is told otherwise. */
function forge (header: Record<string, unknown> = {}, changed: Record<string, unknown> = {}, signer = key): string {
  return makeToken({ alg: 'EdDSA', typ: 'verification+jwt', kid: 'one', ...header }, { ...claims, iss: issuer, ...changed }, privateKeyOf(signer))
}

t.test('the claims of a minted token come back, all of them', async t => {
  t.same(await tokens.read(await tokens.mint(claims)), { ...claims, iss: issuer })
  const { change_digest: _unnamed, ...fewer } = claims
  t.same(await tokens.read(await tokens.mint(fewer)), { ...fewer, iss: issuer })
  t.match(await tokens.read(forge()), claims, 'so do those of one that the tests made, or they would prove nothing below')
})

t.test('a token that is wrong in any way pays for nothing', async t => {
  const [head = '', body = '', signature = ''] = (await tokens.mint(claims)).split('.')
  const publicKey = createPublicKey(privateKeyOf(key)).export({ format: 'pem', type: 'spki' }).toString()
  const input = { alg: 'HS256', typ: 'verification+jwt', kid: 'one' }
  const wrong: Record<string, string> = {
    'of another type': forge({ typ: 'at+jwt' }),
    'of no type': forge({ typ: undefined }),
    'of another issuer': forge({}, { iss: 'urn:assent:development' }),
    'of no issuer': forge({}, { iss: undefined }),
    'signed with another key': forge({}, {}, makeJwk('one')),
    'of a key that is not known': forge({ kid: 'two' }),
    'unsigned': `${encodePart({ ...input, alg: 'none' })}.${encodePart({ ...claims, iss: issuer })}.`,
    'unsigned, with a signature': `${encodePart({ ...input, alg: 'none' })}.${body}.${signature}`,
    'signed with the public key as a secret': makeToken(input, { ...claims, iss: issuer }, publicKey),
    'with other claims under the same signature': `${head}.${encodePart({ ...claims, iss: issuer, sub: 'bob' })}.${signature}`,
    'without a signature': `${head}.${body}.`,
    'in two parts': `${head}.${body}`,
    'no token': 'c0ffee',
    'empty': ''
  }
  for (const [about, token] of Object.entries(wrong)) t.equal(await tokens.read(token), undefined, about)
})

t.test('a token has expired when its time is over', async t => {
  const token = await tokens.mint(claims)
  t.teardown(() => { clock.ms = startMs })
  clock.ms = startMs + 299_000
  t.match(await tokens.read(token), { sub: 'ada' })
  clock.ms = startMs + 300_000
  t.equal(await tokens.read(token), undefined)
})

t.test('after a new key was put first, old tokens are good until their key is taken out', async t => {
  const before = await tokens.mint(claims)
  const next = makeJwk('two')
  const overlapping = await makeVerificationTokens([next, key], () => clock.ms)
  t.match(await overlapping.read(before), { sub: 'ada' })
  const after = await overlapping.mint(claims)
  t.equal(await tokens.read(after), undefined, 'new ones are signed with the new key')
  const rotated = await makeVerificationTokens([next], () => clock.ms)
  t.match(await rotated.read(after), { sub: 'ada' })
  t.equal(await rotated.read(before), undefined)
})

t.test('the published keys hold no private part', async t => {
  const second = makeJwk('two')
  const { publicKeys } = await makeVerificationTokens([key, second], () => clock.ms)
  t.same(publicKeys, { keys: [key, second].map(({ x, kid }) => ({ kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' })) })
  t.notOk([key, second].some(({ d }) => JSON.stringify(publicKeys).includes(d ?? 'no private part')))
})

t.test('a first key without a name, or no key, is refused', async t => {
  await t.rejects(makeVerificationTokens([], Date.now), { message: 'a verification key needs a kid' })
  const { kid: _unnamed, ...nameless } = key
  await t.rejects(makeVerificationTokens([nameless], Date.now), { message: 'a verification key needs a kid' })
})
