import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, readConfig, variableNames } from '../src/config.ts'

const key = (): string => randomBytes(32).toString('base64')

const production: Record<string, string> = {
  NODE_ENV: 'production', ISSUERS_FILE: 'issuers.json', SMTP_URL: 'smtps://mail.example', PRIVACY_CONTACT: 'privacy@example.com', MAIL_FROM: 'no-reply@example.com',
  PSEUDONYM_KEY: key(), LEDGER_KEY: key(), VERIFICATION_PEPPER: key(), SEAL_KEYS: `one:${key()}`, VERIFICATION_KEYS_FILE: 'keys.json'
}

/** The lines in which an environment is refused; none when it is not. */
function problemsOf (environment: Record<string, string>): string[] {
  try {
    readConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
}

t.test('.env.example names every variable, and no other, with its default', async t => {
  const example = readFileSync(join(import.meta.dirname, '..', '.env.example'), 'utf8')
  const lines = [...example.matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name, value]) => [name!, value!] as const)
  t.same(lines.map(([name]) => name).sort(), [...variableNames].sort())
  t.same(readConfig(Object.fromEntries(lines)), readConfig({}))
})

t.test('an empty environment is one to develop in', async t => {
  t.match(readConfig({}), {
    NODE_ENV: 'development', ROLE: 'all', HOST: '127.0.0.1', PORT: 8080, TRUST_PROXY: [], DATA_DIR: 'data', LOG_LEVEL: 'info', ALLOW_VOLATILE_REDIS: false,
    MAX_EVENT_AGE: 30 * 86_400_000, BATCH_EVENTS_MAX: 1000, EMAIL_CODE_DIGITS: 6, RATE_LIMITS: 'on', production: false, devTools: true
  })
  t.equal(readConfig({}).REDIS_URL, undefined)
  t.equal(readConfig({ DEV_TOOLS: 'off', ISSUERS_FILE: 'i.json', SMTP_URL: 'smtp://mail.example' }).devTools, false)
})

t.test('a proxy is an address or a network', async t => {
  const given = '127.0.0.1, 10.0.0.0/8,2001:db8::/32,::1,loopback'
  t.same(readConfig({ TRUST_PROXY: given }).TRUST_PROXY, ['127.0.0.1', '10.0.0.0/8', '2001:db8::/32', '::1', 'loopback'])
  for (const TRUST_PROXY of ['true', 'proxy.internal', '10.0.0', '10.0.0.0/33', '10.0.0.0/0', '10.0.0.0/', '2001:db8::/129', '127.0.0.1,,::1']) {
    t.match(problemsOf({ TRUST_PROXY }), [/^TRUST_PROXY must be a list of addresses or networks/], TRUST_PROXY)
  }
})

t.test('an empty variable counts as not set', async t => {
  t.same(readConfig(Object.fromEntries(variableNames.map(name => [name, '']))), readConfig({}))
  t.same(problemsOf({ ...production, LEDGER_KEY: '' }), ['LEDGER_KEY must be set in production'])
})

t.test('everything that is wrong is named at once, and no value is shown', async t => {
  const wrong: Record<string, string> = {
    NODE_ENV: 'zebra-1', ROLE: 'zebra-2', PORT: '65536', METRICS_PORT: 'zebra-3', LOG_LEVEL: 'zebra-4', REDIS_URL: 'http://zebra-5', ALLOW_VOLATILE_REDIS: 'zebra-6',
    CLICKHOUSE_URL: 'zebra-7', CLICKHOUSE_COMPRESSION: 'zebra-8', CLICKHOUSE_TIMEOUT: 'zebra-9', SMTP_URL: 'zebra://user:zebra-10@mail', MAIL_FROM: 'zebra-11',
    DEV_TOOLS: 'zebra-12', PRIVACY_CONTACT: 'zebra-13', PSEUDONYM_KEY: 'zebra-14', LEDGER_KEY: Buffer.from('zebra-15').toString('base64'),
    VERIFICATION_PEPPER: `${key()}zebra-16`, SEAL_KEYS: 'zebra-17:zebra-18', MAX_EVENT_AGE: '30 days', BATCH_BYTES_MAX: '-1', BATCH_INFLATED_BYTES_MAX: '1e9',
    BATCH_EVENTS_MAX: '0', EVENT_BYTES_MAX: '0x100', EMAIL_CODE_DIGITS: '5', EMAIL_RESEND_SECONDS: '1.5', EMAIL_CODES_PER_HOUR: ' 5', EMAIL_CODES_PER_DAY: '٥',
    RATE_LIMITS: 'zebra-19'
  }
  const problems = problemsOf(wrong)
  t.same([...new Set(problems.map(problem => problem.split(' ', 1)[0]))].sort(), Object.keys(wrong).sort())
  t.notMatch(problems.join('\n'), /zebra|65536|30 days|1e9|0x100|1\.5/)
  for (const problem of problems) t.match(problem, /^[A-Z_]+ \S/, 'it says what is wrong')
  for (const given of Object.values(wrong).filter(value => value.length > 3)) t.notOk(problems.join('\n').includes(given))
})

t.test('durations are read with their units, numbers as they are', async t => {
  for (const [text, ms] of [['30d', 2_592_000_000], ['24h', 86_400_000], ['15m', 900_000], ['10s', 10_000], ['45', 45_000], ['0', 0]] as const) {
    t.equal(readConfig({ MAX_EVENT_AGE: text }).MAX_EVENT_AGE, ms, text)
  }
  for (const text of ['1w', '-1d', '1.5h', '1 h', 'h', '1D', '1d2h', '1ms', '1e3', ' 1', '1\n', '9999999999']) {
    t.match(problemsOf({ MAX_EVENT_AGE: text }), [/^MAX_EVENT_AGE must be a duration/], JSON.stringify(text))
  }
  t.equal(readConfig({ PORT: '0' }).PORT, 0)
  t.equal(readConfig({ PORT: '65535' }).PORT, 65_535)
  t.equal(readConfig({ EMAIL_CODE_DIGITS: '10' }).EMAIL_CODE_DIGITS, 10)
  for (const text of ['65536', '-1', '80.0', '0x50', '8e1', ' 80', '80\n', 'eighty', '1'.repeat(13)]) t.match(problemsOf({ PORT: text }), [/^PORT /], JSON.stringify(text))
})

t.test('lists and keys are taken apart', async t => {
  t.same(readConfig({ TRUST_PROXY: '10.0.0.1, 192.168.0.0/16' }).TRUST_PROXY, ['10.0.0.1', '192.168.0.0/16'])
  const [one, two] = [key(), key()]
  t.equal(readConfig({ PSEUDONYM_KEY: one }).PSEUDONYM_KEY?.toString('base64'), one)
  const ring = readConfig({ SEAL_KEYS: `new:${one}, old:${two}` }).SEAL_KEYS
  t.same([...ring ?? []].map(([id, bytes]) => [id, bytes.toString('base64')]), [['new', one], ['old', two]], 'in their order: the first seals')
  for (const list of [one, `:${one}`, `a.b:${one}`, `one:${one},one:${two}`, `one:${one},`, `one:${one};two:${two}`, `one:${one.slice(4)}`]) {
    t.same(problemsOf({ SEAL_KEYS: list }), ['SEAL_KEYS must be a list of id:key, each key 32 bytes in base64'])
  }
})

t.test('production demands its secrets and whom to believe', async t => {
  t.match(readConfig(production), { production: true, devTools: false })
  const { NODE_ENV: _environment, ...demanded } = production
  const missing = Object.keys(demanded).map(name => `${name} must be set in production`)
  t.same(problemsOf({ NODE_ENV: 'production' }).sort(), missing.sort(), 'all are named at once')
  for (const name of Object.keys(demanded)) {
    const { [name]: _left, ...others } = production
    t.same(problemsOf(others), [`${name} must be set in production`])
  }
})

t.test('production refuses what belongs to development', async t => {
  t.same(problemsOf({ ...production, DEV_TOOLS: 'on' }), ['DEV_TOOLS must not be on in production'])
  t.same(problemsOf({ ...production, RECOVERY_DELAY: '0' }), ['RECOVERY_DELAY must not be 0 in production'])
  t.same(problemsOf({ ...production, RATE_LIMITS: 'off' }), ['RATE_LIMITS must not be off in production'])
  const limits = ['EMAIL_RESEND_SECONDS', 'EMAIL_CODES_PER_HOUR', 'EMAIL_CODES_PER_DAY']
  for (const name of limits) {
    t.same(problemsOf({ ...production, [name]: '0' }), [`${name} must not be 0 in production`])
    t.same(problemsOf({ ...production, [name]: '1' }), [])
  }
  t.same(problemsOf({ RATE_LIMITS: 'off', DEV_TOOLS: 'on', ...Object.fromEntries(limits.map(name => [name, '0'])) }), [], 'which development does not')
})

t.test('what is missing or does not go together is named beside what is wrong by itself, and nothing twice', async t => {
  const { LEDGER_KEY: _left, ...others } = production
  const problems = problemsOf({ ...others, PORT: 'eighty', PSEUDONYM_KEY: 'short', RATE_LIMITS: 'off', CLICKHOUSE_CLUSTER: 'x' })
  t.same(problems.map(problem => problem.split(' ', 1)[0]), ['PORT', 'PSEUDONYM_KEY', 'CLICKHOUSE_URL', 'LEDGER_KEY', 'RATE_LIMITS'])
})

t.test('no duration is too long for a timer or a date, and no request has no time at all', async t => {
  for (const [name, text] of [['CLICKHOUSE_TIMEOUT', '0'], ['CLICKHOUSE_TIMEOUT', '30d'], ['LEDGER_CHECKPOINT_EVERY', '25d'], ['MAX_EVENT_AGE', '999999999d'], ['RECOVERY_DELAY', '999999999d']] as const) {
    t.match(problemsOf({ [name]: text }), [new RegExp(`^${name} Too `)], `${name} ${text}`)
  }
})

t.test('an address without a host, or with a % that stands for nothing, is none', async t => {
  t.match(problemsOf({ SMTP_URL: 'smtp://', REDIS_URL: 'unix:///%zz' }), [/^REDIS_URL must be/, /^SMTP_URL must be/])
})

t.test('the tools of development are not given to a network by mistake', async t => {
  const line = 'DEV_TOOLS must be on or off, or NODE_ENV production, when HOST is reached by others'
  for (const HOST of ['0.0.0.0', '::', '192.168.0.7', 'assent.example']) {
    t.same(problemsOf({ HOST }), [line], HOST)
    t.same(problemsOf({ HOST, DEV_TOOLS: 'on' }), [], 'who says so may have them')
    t.same(problemsOf({ HOST, DEV_TOOLS: 'off', ISSUERS_FILE: 'i.json', SMTP_URL: 'smtp://mail.example' }), [])
    t.same(problemsOf({ ...production, HOST }), [])
  }
  for (const HOST of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) t.same(problemsOf({ HOST }), [], HOST)
})

t.test('settings that do not go together are refused', async t => {
  for (const role of ['collector', 'writer', 'api']) {
    t.same(problemsOf({ ROLE: role }), ['REDIS_URL must be set for a ROLE other than all'])
    t.same(problemsOf({ ROLE: role, REDIS_URL: 'redis://cache.example' }), [])
  }
  for (const name of ['CLICKHOUSE_READER_USER', 'CLICKHOUSE_CA_FILE', 'CLICKHOUSE_CLUSTER']) {
    t.same(problemsOf({ [name]: 'x' }), [`CLICKHOUSE_URL must be set where ${name} is`])
    t.same(problemsOf({ [name]: 'x', CLICKHOUSE_URL: 'https://clickhouse.example' }), [])
  }
  for (const REDIS_URL of ['', 'redis://cache.example', 'unix:///run/redis.sock']) {
    t.same(problemsOf({ REDIS_CA_FILE: 'ca.pem', REDIS_URL }), ['REDIS_URL must be one with TLS (rediss) where REDIS_CA_FILE is set'])
    t.same(problemsOf({ REDIS_SENTINEL_USER: 'x', REDIS_URL }), ['REDIS_URL must name sentinels where REDIS_SENTINEL_USER is set'])
  }
  const alone = /^COLLECTOR_PROCESSES must be 1 unless ROLE is collector/
  for (const ROLE of ['all', 'writer', 'api']) t.match(problemsOf({ ROLE, REDIS_URL: 'redis://cache.example', COLLECTOR_PROCESSES: '2' }), [alone], ROLE)
  t.same(problemsOf({ ROLE: 'collector', REDIS_URL: 'redis://cache.example', COLLECTOR_PROCESSES: '2' }), [])
  for (const COLLECTOR_PROCESSES of ['0', '257', '-1', 'two', '1.5']) t.match(problemsOf({ COLLECTOR_PROCESSES }), [/^COLLECTOR_PROCESSES (?:Too|must)/], COLLECTOR_PROCESSES)
  t.same(problemsOf({ REDIS_REPLICAS_MIN: '1' }), ['REDIS_URL must be set where REDIS_REPLICAS_MIN is'])
  t.same(problemsOf({ REDIS_REPLICAS_MIN: '1', REDIS_CA_FILE: 'ca.pem', REDIS_SENTINEL_USER: 'x', REDIS_URL: 'rediss+sentinel://cache.example/mymaster' }), [])
  t.same(problemsOf({ DEV_TOOLS: 'off' }), ['ISSUERS_FILE must be set when DEV_TOOLS is off', 'SMTP_URL must be set when DEV_TOOLS is off'])
})
