import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { startService } from '../../src/composition/service.ts'
import { readConfig } from '../../src/config.ts'
import { loadIssuers } from '../../src/crypto/issuers.ts'
import { makeKey } from '../support/issuer.ts'
import { publicJwk } from '../support/tokens.ts'

const right = { issuer: 'https://a.example', audience: 'assent', algorithms: ['EdDSA'], jwks_file: 'keys.json' }
const development = { production: false }
const other = { ...right, issuer: 'https://b.example' }

const wrong: Array<[about: string, issuers: unknown, message: RegExp]> = [
  ['no issuer', [], /issuers/],
  ['an issuer without an audience', [{ ...right, audience: undefined }], /issuers\/0\/audience/],
  ['an issuer without algorithms', [{ ...right, algorithms: [] }], /issuers\/0\/algorithms/],
  ['a symmetric algorithm', [{ ...right, algorithms: ['HS256'] }], /issuers\/0\/algorithms\/0/],
  ['no algorithm at all', [{ ...right, algorithms: ['none'] }], /issuers\/0\/algorithms\/0/],
  ['no keys', [{ ...right, jwks_file: undefined }], /issuers\/0 give jwks_uri or jwks_file/],
  ['keys in two places', [{ ...right, jwks_uri: 'https://a.example/keys' }], /issuers\/0 give jwks_uri or jwks_file/],
  ['keys at an address that is no web address', [{ ...right, jwks_file: undefined, jwks_uri: 'file:///etc/passwd' }], /issuers\/0\/jwks_uri/],
  ['a member that does not exist', [{ ...right, jwks: {} }], /issuers\/0/],
  ['the same issuer twice', [right, right], /an issuer is there twice/],
  ['several issuers without namespaces', [right, other], /need a namespace each/],
  ['two issuers of one namespace', [{ ...right, namespace: 'a' }, { ...other, namespace: 'a' }], /need a namespace each/],
  ['a namespace with a colon', [{ ...right, namespace: 'a:b' }], /issuers\/0\/namespace/],
  ['a scope that does not exist', [{ ...right, scopes: ['everything'] }], /issuers\/0\/scopes\/0/],
  ['no scope', [{ ...right, scopes: [] }], /issuers\/0\/scopes/],
  ['the namespace of devices', [{ ...right, namespace: 'device' }], /device is reserved/]
]

t.test('a file of issuers that is wrong is named with what is wrong', async t => {
  for (const [about, issuers, message] of wrong) {
    const file = join(t.testdir({ 'issuers.json': JSON.stringify({ issuers }), 'keys.json': '{"keys":[]}' }), 'issuers.json')
    await t.rejects(loadIssuers(file, development), { message }, about)
    await t.rejects(loadIssuers(file, development), { message: new RegExp(`^${file}: `) }, `${about}: the file is named`)
  }
})

t.test('in production keys come over TLS, or from this machine', async t => {
  const fileOf = (uri: string): string => join(t.testdir({ 'issuers.json': JSON.stringify({ issuers: [{ ...right, jwks_file: undefined, jwks_uri: uri }] }) }), 'issuers.json')
  for (const uri of ['http://id.example/keys', 'http://10.0.0.7/keys', 'http://169.254.169.254/keys', 'http://127.0.0.1.example/keys']) {
    await t.rejects(loadIssuers(fileOf(uri), { production: true }), { message: /jwks_uri must be https in production, or on this machine/ }, uri)
    await t.resolves(loadIssuers(fileOf(uri), { production: false }), uri)
  }
  for (const uri of ['https://id.example/keys', 'http://127.0.0.1:8080/keys', 'http://localhost/keys', 'http://[::1]/keys']) await t.resolves(loadIssuers(fileOf(uri), { production: true }), uri)
})

t.test('so is a file of keys', async t => {
  const issuers = JSON.stringify({ issuers: [right] })
  for (const [content, message] of [['{', 'cannot be read as JSON'], ['[]', 'is not a JWK set'], ['{"keys":{}}', 'is not a JWK set'], ['null', 'is not a JWK set']] as const) {
    const directory = t.testdir({ 'issuers.json': issuers, 'keys.json': content })
    await t.rejects(loadIssuers(join(directory, 'issuers.json'), development), { message: `${join(directory, 'keys.json')} ${message}` }, content)
  }
  const directory = t.testdir({ 'issuers.json': issuers })
  await t.rejects(loadIssuers(join(directory, 'issuers.json'), development), { message: `${join(directory, 'keys.json')} cannot be read as JSON` })
})

t.test('keys lie beside the file that names them', async t => {
  const directory = t.testdir({ 'issuers.json': JSON.stringify({ issuers: [right] }), 'keys.json': JSON.stringify({ keys: [publicJwk(makeKey('EdDSA', 'one'))] }) })
  const [issuer] = await loadIssuers(join(directory, 'issuers.json'), development)
  t.match(await issuer?.publicKey({ alg: 'EdDSA', kid: 'one' }), /^-----BEGIN PUBLIC KEY-----/)
  t.equal(await issuer?.publicKey({ alg: 'EdDSA', kid: 'two' }), undefined)
  t.equal(await issuer?.publicKey({ alg: 'none', kid: 'one' }), undefined)
})

t.test('a wrong file of issuers stops the start with one line', async t => {
  const directory = t.testdir({ 'issuers.json': '{"issuers":[]}' })
  const start = startService(readConfig({ DATA_DIR: join(directory, 'data'), PORT: '0', ISSUERS_FILE: join(directory, 'issuers.json') }), pino({ level: 'silent' }))
  await t.rejects(start, { message: /^ISSUERS_FILE: \S+issuers\.json: issuers [^\n]+$/ })
})
