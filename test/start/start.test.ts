import { cp, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { issueToken, makeKey } from '../support/issuer.ts'
import { publicJwk } from '../support/tokens.ts'
import { makeFolder, runToEnd, startProcess, type Ended } from './process.ts'

const root = join(import.meta.dirname, '..', '..')

/** Asserts that a start was stopped with these reasons, one line each, and nothing else. */
function isRefused (t: Test, { code, stdout, stderr }: Ended, ...reasons: RegExp[]): void {
  t.equal(code, 1)
  t.equal(stdout, '')
  const lines = stderr.trimEnd().split('\n').filter(line => !line.startsWith('assent: starting'))
  t.equal(lines.length, reasons.length, stderr)
  reasons.forEach((reason, index) => {
    t.match(lines[index], /^assent: cannot start: \S/)
    t.match(lines[index], reason)
  })
}

t.test('a catalogue with a mistake stops the start, which names the file and the mistake', async t => {
  const heartbeat = 'events/license.heartbeat/1.json'
  const edits: Array<[string, string, RegExp, (content: any) => unknown]> = [
    ['an event that is no JSON', heartbeat, /is not JSON/, content => JSON.stringify(content).slice(1)],
    ['an event of no known purpose', heartbeat, /x-purpose names no purpose/, content => ({ ...content, 'x-purpose': 'curiosity' })],
    ['a field that may be taken out but is required', heartbeat, /features_in_use.*required/, content => { content.required.push('features_in_use') }],
    ['an event that takes more than it declares', heartbeat, /additionalProperties/, content => { delete content.additionalProperties }],
    ['an example that is not valid', heartbeat, /example 0 is not valid/, content => { content.examples[0].seats_in_use = -1 }],
    ['a purpose without a title', 'purposes.json', /\/purposes\/0\/title/, content => { delete content.purposes[0].title }],
    ['an override to no scope', 'products.json', /\/products\/1\/overrides\/2021/, content => { content.products[1].overrides['2021'] = 'person' }]
  ]
  for (const [mistake, file, reason, edit] of edits) {
    const folder = await makeFolder(t)
    const schemas = join(folder, 'schemas')
    await cp(join(root, 'schemas'), schemas, { recursive: true })
    const content: unknown = JSON.parse(await readFile(join(schemas, file), 'utf8'))
    const edited = edit(content) ?? content
    await writeFile(join(schemas, file), typeof edited === 'string' ? edited : JSON.stringify(edited))
    const ended = await runToEnd(t, { DATA_DIR: join(folder, 'data'), SCHEMAS_DIR: schemas })
    isRefused(t, ended, reason)
    t.ok(ended.stderr.includes(`cannot start: ${file}: `), mistake)
  }
})

t.test('every wrong setting is named at once, and no value is shown', async t => {
  const secret = 'hunter2'
  const ended = await runToEnd(t, { PORT: secret, LOG_LEVEL: secret, MAX_EVENT_AGE: secret, REDIS_URL: secret, PSEUDONYM_KEY: secret, SEAL_KEYS: `a:${secret}`, PRIVACY_CONTACT: secret })
  isRefused(t, ended, /PORT /, /LOG_LEVEL /, /REDIS_URL /, /PRIVACY_CONTACT /, /PSEUDONYM_KEY /, /SEAL_KEYS /, /MAX_EVENT_AGE /)
  t.notMatch(ended.stderr, secret)
  isRefused(t, await runToEnd(t, {}, ['--verbose']), /--verbose.*--help/)
  t.match(await runToEnd(t, { PORT: secret }, ['--help']), { code: 0, stdout: /^Usage: /, stderr: '' })
})

t.test('production needs its secrets and takes no development tools', async t => {
  const secrets = ['ISSUERS_FILE', 'SMTP_URL', 'PRIVACY_CONTACT', 'PSEUDONYM_KEY', 'LEDGER_KEY', 'VERIFICATION_PEPPER', 'SEAL_KEYS', 'VERIFICATION_KEYS_FILE', 'MAIL_FROM']
  isRefused(t, await runToEnd(t, { NODE_ENV: 'production' }), ...secrets.map(name => new RegExp(`${name} must be set`)))
  const key = Buffer.alloc(32).toString('base64')
  const complete = {
    NODE_ENV: 'production', ISSUERS_FILE: '/none', SMTP_URL: 'smtp://127.0.0.1', PRIVACY_CONTACT: 'privacy@example.com', PSEUDONYM_KEY: key, LEDGER_KEY: key,
    VERIFICATION_PEPPER: key, SEAL_KEYS: `a:${key}`, VERIFICATION_KEYS_FILE: '/none', MAIL_FROM: 'no-reply@example.com'
  }
  isRefused(t, await runToEnd(t, { ...complete, DEV_TOOLS: 'on', RATE_LIMITS: 'off', EMAIL_RESEND_SECONDS: '0' }), /DEV_TOOLS must not be on/, /RATE_LIMITS/, /EMAIL_RESEND_SECONDS/)
  isRefused(t, await runToEnd(t, complete), /ISSUERS_FILE: \/none cannot be read/)
})

t.test('production serves whom its issuers name, and none of the tools of development', async t => {
  const folder = await makeFolder(t)
  const [issuers, issuerKeys, verificationKeys] = ['issuers.json', 'issuer-keys.json', 'verification-keys.json'].map(name => join(folder, name)) as [string, string, string]
  const signing = makeKey('EdDSA', 'one')
  await writeFile(issuerKeys, JSON.stringify({ keys: [publicJwk(signing)] }))
  await writeFile(issuers, JSON.stringify({ issuers: [{ issuer: 'https://id.example', audience: 'assent', algorithms: ['EdDSA'], jwks_file: issuerKeys, namespace: 'id' }] }))
  await writeFile(verificationKeys, JSON.stringify({ keys: [{ ...makeKey('EdDSA', 'two').privateKey.export({ format: 'jwk' }), kid: 'two', alg: 'EdDSA', use: 'sig' }] }))
  const key = Buffer.alloc(32, 1).toString('base64')
  const service = await startProcess(t, {
    NODE_ENV: 'production', DATA_DIR: join(folder, 'data'), SHUTDOWN_DELAY: '0', ISSUERS_FILE: issuers, SMTP_URL: 'smtp://127.0.0.1:1', PRIVACY_CONTACT: 'privacy@example.com',
    MAIL_FROM: 'no-reply@example.com', PSEUDONYM_KEY: key, LEDGER_KEY: key, VERIFICATION_PEPPER: key, SEAL_KEYS: `a:${key}`, VERIFICATION_KEYS_FILE: verificationKeys
  })
  const token = issueToken('EdDSA', signing, 'https://id.example', { scope: 'settings' })
  t.equal((await service.call('GET', '/v1/me/privacy', { token })).status, 200)
  for (const [method, path] of [['POST', '/dev/token'], ['GET', '/dev/inbox?to=ada@example.com'], ['POST', '/dev/sql']] as const) {
    t.equal((await service.call(method, path, method === 'GET' ? {} : { body: {} })).status, 404, path)
  }
  t.same(Object.keys((await service.call('GET', '/openapi.json')).body['paths']).filter(path => path.startsWith('/dev')), [])
  t.notOk((await readdir(join(folder, 'data'))).includes('keys'), 'no key is made')
  t.equal((await service.end('SIGTERM')).code, 0)
})

t.test('an address or a port that cannot be had stops the start, which names the variable', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.teardown(() => holder.close())
  await new Promise(resolve => holder.once('listening', resolve))
  const { port } = holder.address() as AddressInfo
  isRefused(t, await runToEnd(t, { DATA_DIR: await makeFolder(t), PORT: String(port) }), new RegExp(`: PORT ${port} .*in use`))
  isRefused(t, await runToEnd(t, { DATA_DIR: await makeFolder(t), METRICS_PORT: String(port) }), new RegExp(`: METRICS_PORT ${port} .*in use`))
  for (const HOST of ['203.0.113.7', 'no-such-host.invalid']) {
    isRefused(t, await runToEnd(t, { DATA_DIR: await makeFolder(t), HOST, DEV_TOOLS: 'on' }), new RegExp(`: HOST ${HOST} is no address of this machine`))
  }
})

t.test('a free port for the metrics is named', async t => {
  const { stdout } = await (await startProcess(t, { DATA_DIR: await makeFolder(t), METRICS_PORT: '0' })).end('SIGTERM')
  t.match(stdout, /^assent metrics on http:\/\/127\.0\.0\.1:[1-9][0-9]*\/metrics\n/)
})

t.test('a data directory that cannot be written stops the start', async t => {
  const file = join(await makeFolder(t), 'file')
  await writeFile(file, '')
  isRefused(t, await runToEnd(t, { DATA_DIR: join(file, 'data') }), /DATA_DIR .*cannot be written/)
})

t.test('a second process on a data directory stops, and the first goes on', async t => {
  const dataDir = await makeFolder(t)
  const first = await startProcess(t, { DATA_DIR: dataDir })
  const link = join(await makeFolder(t), 'link')
  await symlink(dataDir, link)
  for (const path of [dataDir, link]) isRefused(t, await runToEnd(t, { DATA_DIR: path }), /DATA_DIR .*in use by another/)
  t.match(await first.post(await first.token({ device_id: 'pc' })), { status: 202, body: { dropped: 1 } })
})
