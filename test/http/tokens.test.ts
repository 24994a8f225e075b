import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { isProblem } from '../support/problems.ts'
import { head, sendRaw } from '../support/raw-http.ts'
import { startTestService } from '../support/service.ts'
import { developmentKey, encodePart, makeToken, publicJwk, publicPem, rightClaims } from '../support/tokens.ts'

const service = await startTestService(t)
const real = await developmentKey(service.dataDir)
const rsa = { kid: real.kid, privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }
const stranger = { kid: real.kid, privateKey: generateKeyPairSync('ed25519').privateKey }
const header = { alg: 'EdDSA', typ: 'JWT', kid: real.kid }
const now = Math.floor(Date.now() / 1000)
const path = '/v1/consent'

const ask = async (authorization?: string) =>
  await service.call('GET', `${path}?product=cad&release=2026&device_id=pc-1`, authorization === undefined ? {} : { headers: { authorization } })
const withClaims = (claims: Record<string, unknown>): string => makeToken(header, rightClaims(claims), real.privateKey)
const withHeader = (more: Record<string, unknown>): string => makeToken({ ...header, ...more }, rightClaims(), real.privateKey)
const right = withClaims({})

t.test('a right token is accepted, also with several audiences and with a clock that is a little off', async t => {
  for (const token of [right, withClaims({ aud: ['other', 'assent'] }), withClaims({ iat: now + 10 })]) {
    t.equal((await ask(`Bearer ${token}`)).status, 200)
  }
  t.equal((await ask(`bearer ${right}`)).status, 200, 'the scheme is the same in lower case')
})

const wrongTokens: Record<string, string> = {
  'no issuer': withClaims({ iss: undefined }),
  'another issuer': withClaims({ iss: 'https://elsewhere.example' }),
  'a list of issuers': withClaims({ iss: ['urn:assent:development'] }),
  'no audience': withClaims({ aud: undefined }),
  'another audience': withClaims({ aud: 'other' }),
  'an empty list of audiences': withClaims({ aud: [] }),
  'an audience that is a number': withClaims({ aud: 7 }),
  'no subject': withClaims({ sub: undefined }),
  'an empty subject': withClaims({ sub: '' }),
  'a subject that is a number': withClaims({ sub: 7 }),
  'a subject with a line feed': withClaims({ sub: 'ada\nroot' }),
  'a subject of 256 characters': withClaims({ sub: 'a'.repeat(256) }),
  'no expiry': withClaims({ exp: undefined }),
  'an expiry that is text': withClaims({ exp: String(now + 600) }),
  'an expiry that is null': withClaims({ exp: null }),
  'an expiry in the past': withClaims({ exp: now - 60 }),
  'a begin in the future': withClaims({ nbf: now + 300 }),
  'a begin that is text': withClaims({ nbf: String(now) }),
  'an issue in the future': withClaims({ iat: now + 300 }),
  'an issue that is text': withClaims({ iat: String(now) }),
  'scopes in a list': withClaims({ scope: ['telemetry:write'] }),
  'a device id that is none': withClaims({ device_id: '../pc' }),
  'a device as subject and no device id': withClaims({ sub: 'device:pc-1' }),
  'a device as subject and another device id': withClaims({ sub: 'device:pc-1', device_id: 'pc-2' }),
  'a key that is not the issuer\'s': makeToken(header, rightClaims(), stranger.privateKey),
  'its own key in its header': makeToken({ ...header, jwk: publicJwk(stranger) }, rightClaims(), stranger.privateKey),
  'a signature of another token': `${withClaims({ sub: 'root' }).split('.', 2).join('.')}.${right.split('.')[2]!}`,
  'no signature': `${right.split('.', 2).join('.')}.`,
  'alg none and no signature': `${encodePart({ alg: 'none' })}.${encodePart(rightClaims())}.`,
  'alg NoNe and no signature': `${encodePart({ alg: 'NoNe', kid: real.kid })}.${encodePart(rightClaims())}.`,
  'alg none and a signature': makeToken({ ...header, alg: 'none' }, rightClaims(), real.privateKey),
  'no alg': `${encodePart({ kid: real.kid })}.${right.split('.', 3).slice(1).join('.')}`,
  'HS256 under the public key': makeToken({ ...header, alg: 'HS256' }, rightClaims(), publicPem(real)),
  'HS256 under the public key without its last line feed': makeToken({ ...header, alg: 'HS256' }, rightClaims(), publicPem(real).trim()),
  PS256: makeToken({ ...header, alg: 'PS256' }, rightClaims(), rsa.privateKey),
  RS256: makeToken({ ...header, alg: 'RS256' }, rightClaims(), rsa.privateKey),
  'an unknown key id': withHeader({ kid: 'another' }),
  'a key id that is a path': withHeader({ kid: '../../../../etc/passwd' }),
  'a key id that is a number': withHeader({ kid: 7 }),
  'a key id of 10 kB': withHeader({ kid: 'k'.repeat(10_240) }),
  'a critical header that nobody knows': withHeader({ crit: ['urn:unknown'], 'urn:unknown': true }),
  'an unencoded payload': withHeader({ crit: ['b64'], b64: false }),
  'a payload that is text': makeToken(header, '"str"', real.privateKey),
  'a payload that is null': makeToken(header, 'null', real.privateKey),
  'a payload that is a list': makeToken(header, '[]', real.privateKey),
  'a payload that is no JSON': makeToken(header, '{', real.privateKey),
  'a header that is no JSON': `${encodePart('{')}.${right.split('.', 3).slice(1).join('.')}`,
  'two parts': right.split('.', 2).join('.'),
  'four parts': `${right}.${right.split('.')[2]!}`,
  'more than 8 kB': withClaims({ filler: 'x'.repeat(8192) })
}

const wrongHeaders: Record<string, string | undefined> = {
  'no Authorization': undefined,
  'an empty Authorization': '',
  'no token': 'Bearer',
  Basic: `Basic ${Buffer.from('ada:secret').toString('base64')}`,
  'a scheme that does not exist': `Bear ${right}`,
  'a token without a scheme': right,
  'two tokens': `Bearer ${right} ${right}`,
  'two tokens with a comma': `Bearer ${right}, Bearer ${right}`,
  'a double space': `Bearer  ${right}`,
  'a tab': `Bearer\t${right}`,
  'a quoted token': `Bearer "${right}"`
}

t.test('whatever is wrong with a token is answered with 401 and how to do better', async t => {
  const cases = [
    ...Object.entries(wrongHeaders),
    ...Object.entries(wrongTokens).map(([about, token]): [string, string] => [`a token with ${about}`, `Bearer ${token}`])
  ]
  for (const [about, authorization] of cases) {
    const answer = await ask(authorization)
    isProblem(t, answer, 401, 'invalid-token', path, about)
    t.match(answer.headers.get('www-authenticate'), /^Bearer\b/, about)
  }
})

t.test('of two Authorization headers neither is taken, whatever the order', async t => {
  const wrong = withClaims({ aud: 'other' })
  for (const tokens of [[right, right], [right, wrong], [wrong, right]]) {
    const lines = tokens.map(token => `Authorization: Bearer ${token}`)
    const [answer] = await sendRaw(service.service.url, head(`GET ${path}?product=cad&release=2026 HTTP/1.1`, 'Host: here', ...lines, 'Connection: close'))
    isProblem(t, answer!, 401, 'invalid-token', path)
  }
})

t.test('nothing that a token names is fetched', async t => {
  let visits = 0
  const attacker = createServer((_request, response) => { visits++; response.end(JSON.stringify({ keys: [publicJwk(stranger)] })) }).listen(0)
  t.teardown(() => { attacker.close() })
  const url = `http://127.0.0.1:${String((attacker.address() as AddressInfo).port)}/keys`
  for (const more of [{ jku: url }, { x5u: url }, { kid: url }, { jku: url, kid: 'another' }]) {
    isProblem(t, await ask(`Bearer ${makeToken({ ...header, ...more }, rightClaims(), stranger.privateKey)}`), 401, 'invalid-token', path)
    isProblem(t, await ask(`Bearer ${makeToken({ ...header, ...more }, rightClaims({ iss: url }), stranger.privateKey)}`), 401, 'invalid-token', path)
  }
  t.equal(visits, 0)
})

t.test('a token without the scope is answered with 403 and names it', async t => {
  for (const scope of ['settings', '', 'telemetry', 'TELEMETRY:WRITE', 'telemetry:write,settings']) {
    const answer = await ask(`Bearer ${withClaims({ scope })}`)
    isProblem(t, answer, 403, 'insufficient-scope', path, `scope "${scope}"`)
    t.equal(answer.headers.get('www-authenticate'), 'Bearer error="insufficient_scope", scope="telemetry:write"')
  }
})

t.test('a stranger is turned away before the body is looked at, and a token in the address is none', async t => {
  isProblem(t, await service.call('POST', '/v1/events', { body: 'not JSON' }), 401, 'invalid-token', '/v1/events')
  isProblem(t, await service.call('GET', `${path}?product=cad&release=2026&access_token=${right}`), 401, 'invalid-token', path)
  t.equal((await service.call('GET', `/v1/verification/challenges/${randomUUID()}`)).status, 401)
})
