/** The only reader of the environment. Every variable is described in `.env.example`. */
import { isIP } from 'node:net'
import { z } from 'zod'

const units: Readonly<Record<string, number>> = { '': 1000, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** No timer of Node's can be set for longer. */
const timerMaxMs = 2_147_483_647
const tenYearsMs = 3650 * 86_400_000

/** A duration such as `30d`, `24h`, `15m`, `10s` or a number of seconds, as milliseconds. */
const duration = z.string().regex(/^[0-9]{1,9}[smhd]?$/, 'must be a duration such as 30d, 24h, 15m or 10s')
  .transform(text => Number.parseInt(text, 10) * (units[text.replace(/[0-9]/g, '')] ?? 1000))
const within = (minMs: number, maxMs: number): z.ZodType<number, string> => duration.pipe(z.number().min(minMs).max(maxMs))
const count = (min: number, max: number): z.ZodType<number, string> =>
  z.string().regex(/^[0-9]{1,12}$/, 'must be a whole number').transform(Number).pipe(z.number().min(min).max(max))
const flag = z.enum(['0', '1']).transform(value => value === '1')
const url = (...protocols: string[]): z.ZodType<string> => z.url({ protocol: new RegExp(`^(?:${protocols.join('|')})$`), hostname: /./, error: `must be a URL of ${protocols.join(' or ')}` })
const key = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'must be 32 bytes in base64').transform(text => Buffer.from(text, 'base64'))
const text = z.string().min(1)
/** No mail server takes letters from it. */
const noSender = 'no-reply@assent.invalid'
/** What a range of proxies may be called, beside its addresses. */
const namedNetworks = ['loopback', 'linklocal', 'uniquelocal']

const shape = z.object({
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
  ROLE: z.enum(['all', 'collector', 'writer', 'api']).default('all'),
  HOST: text.default('127.0.0.1'),
  PORT: count(0, 65_535).default(8080),
  METRICS_PORT: count(0, 65_535).optional(),
  COLLECTOR_PROCESSES: count(1, 256).default(1),
  TRUST_PROXY: text.transform(list => list.split(',').map(item => item.trim())).refine(list => list.every(isNetwork), 'must be a list of addresses or networks such as 10.0.0.0/8').default([]),
  DATA_DIR: text.default('data'),
  SCHEMAS_DIR: text.optional(),
  SHUTDOWN_DELAY: within(0, 15_000).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: url('http', 'https').optional(),
  OTEL_SERVICE_NAME: text.default('assent'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  REDIS_URL: text.transform((address, context) => parseRedisUrl(address, context)).optional(),
  REDIS_CA_FILE: text.optional(),
  REDIS_SENTINEL_USER: text.optional(),
  REDIS_SENTINEL_PASSWORD: text.optional(),
  REDIS_REPLICAS_MIN: count(0, 100).default(0),
  ALLOW_VOLATILE_REDIS: flag.default(false),
  CLICKHOUSE_URL: url('http', 'https').optional(),
  CLICKHOUSE_USER: text.default('default'),
  CLICKHOUSE_PASSWORD: z.string().default(''),
  CLICKHOUSE_READER_USER: text.optional(),
  CLICKHOUSE_READER_PASSWORD: z.string().default(''),
  CLICKHOUSE_DATABASE: text.default('default'),
  CLICKHOUSE_CA_FILE: text.optional(),
  CLICKHOUSE_CLUSTER: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be a name of letters, digits and underscores').optional(),
  CLICKHOUSE_COMPRESSION: flag.default(true),
  CLICKHOUSE_TIMEOUT: within(1000, 3_600_000).default(30_000),
  SMTP_URL: url('smtp', 'smtps').optional(),
  MAIL_FROM: z.email().default(noSender),
  ISSUERS_FILE: text.optional(),
  REGION_POLICY_FILE: text.optional(),
  LEDGER_CHECKPOINT_EVERY: within(1000, timerMaxMs).default(3_600_000),
  DEV_TOOLS: z.enum(['on', 'off']).optional(),
  PRIVACY_CONTACT: z.email().optional(),
  CONTROLLER_NAME: z.string().regex(/^\P{Cc}{1,200}$/u, 'must be 1 to 200 characters').optional(),
  PSEUDONYM_KEY: key.optional(),
  LEDGER_KEY: key.optional(),
  VERIFICATION_PEPPER: key.optional(),
  SEAL_KEYS: z.string().transform((list, context) => parseKeyRing(list, context)).optional(),
  VERIFICATION_KEYS_FILE: text.optional(),
  MAX_EVENT_AGE: within(0, tenYearsMs).default(30 * 86_400_000),
  BATCH_BYTES_MAX: count(1024, 64 * 1_048_576).default(1_048_576),
  BATCH_INFLATED_BYTES_MAX: count(1024, 512 * 1_048_576).default(8 * 1_048_576),
  BATCH_EVENTS_MAX: count(1, 100_000).default(1000),
  EVENT_BYTES_MAX: count(64, 8 * 1_048_576).default(65_536),
  RECOVERY_DELAY: within(0, tenYearsMs).optional(),
  TOTP_ISSUER: z.string().regex(/^[^:\p{Cc}]{1,64}$/u, 'must be 1 to 64 characters without a colon').default('Assent'),
  EMAIL_CODE_DIGITS: count(6, 10).default(6),
  EMAIL_RESEND_SECONDS: count(0, 86_400).default(60),
  EMAIL_CODES_PER_HOUR: count(0, 1000).default(5),
  EMAIL_CODES_PER_DAY: count(0, 10_000).default(10),
  RATE_LIMIT_PER_SUBJECT: count(1, 10_000_000).default(200),
  RATE_LIMIT_PER_ADDRESS: count(1, 10_000_000).default(5000),
  REDIS_MEMORY_SLOW_PERCENT: count(1, 100).default(70),
  REDIS_MEMORY_FULL_PERCENT: count(1, 100).default(80),
  QUEUE_JOBS_MAX: count(1, 100_000_000).default(500_000),
  INTAKE_THREADS: count(0, 64).default(1),
  INTAKE_BATCHES_MAX: count(1, 100_000).default(64),
  INTAKE_BYTES_MAX: count(65_536, 4 * 1_073_741_824).default(64 * 1_048_576),
  EVENT_LOOP_DELAY_MAX_MS: count(20, 60_000).default(500),
  RATE_LIMITS: z.enum(['on', 'off']).default('on')
})

type Environment = Readonly<Record<string, string | undefined>>
export type Config = z.infer<typeof shape> & { production: boolean, devTools: boolean }

/** An address, one with the length of its prefix, or a name of several. */
function isNetwork (item: string): boolean {
  const [, address = item, bits] = /^([^/]+)\/([0-9]{1,3})$/.exec(item) ?? []
  const version = isIP(address)
  if (version === 0) return namedNetworks.includes(item)
  return bits === undefined || (Number(bits) > 0 && Number(bits) <= (version === 4 ? 32 : 128))
}

/** The names of all variables that are read. */
export const variableNames: readonly string[] = Object.keys(shape.shape)

/** Thrown when settings are wrong: one line each, naming the variable and never its value. */
export class ConfigError extends Error {
  constructor (problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
  }
}

/** Reads all settings at once; an empty variable counts as not set. */
export function readConfig (environment: Environment = process.env): Config {
  const given = Object.fromEntries(variableNames.flatMap(name => {
    const value = environment[name]
    return value === undefined || value === '' ? [] : [[name, value]]
  }))
  const wrong = shape.safeParse(given).error?.issues.map(({ path, message }) => ({ name: String(path[0]), message })) ?? []
  // What is wrong by itself is left out, so that what is wrong besides is named in the same breath.
  const settings = shape.parse(Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.some(one => one.name === name))))
  const production = settings.NODE_ENV === 'production'
  const amiss = [...findConflicts(settings), ...(production ? findMissingInProduction(settings) : [])]
  const problems = [...wrong.map(({ name, message }) => `${name} ${message}`), ...amiss.filter(line => !wrong.some(({ name }) => line.startsWith(`${name} `)))]
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...settings, production, devTools: !production && settings.DEV_TOOLS !== 'off' }
}

type Settings = z.infer<typeof shape>

function findConflicts (settings: Settings): string[] {
  const problems: string[] = []
  if (settings.ROLE !== 'all' && settings.REDIS_URL === undefined) problems.push('REDIS_URL must be set for a ROLE other than all')
  if (settings.ROLE !== 'collector' && settings.COLLECTOR_PROCESSES > 1) problems.push('COLLECTOR_PROCESSES must be 1 unless ROLE is collector; run collectors beside a process of role all, or of writer and api')
  if (settings.DEV_TOOLS === 'off' && settings.ISSUERS_FILE === undefined) problems.push('ISSUERS_FILE must be set when DEV_TOOLS is off')
  if (settings.DEV_TOOLS === 'off' && settings.SMTP_URL === undefined) problems.push('SMTP_URL must be set when DEV_TOOLS is off')
  // Who forgets NODE_ENV must not give tokens to everybody who asks.
  if (settings.NODE_ENV !== 'production' && settings.DEV_TOOLS === undefined && !/^(?:localhost|::1|127(?:\.[0-9]+){3})$/.test(settings.HOST)) {
    problems.push('DEV_TOOLS must be on or off, or NODE_ENV production, when HOST is reached by others')
  }
  for (const name of ['CLICKHOUSE_READER_USER', 'CLICKHOUSE_CA_FILE', 'CLICKHOUSE_CLUSTER'] as const) {
    if (settings[name] !== undefined && settings.CLICKHOUSE_URL === undefined) problems.push(`CLICKHOUSE_URL must be set where ${name} is`)
  }
  // Whoever sets these relies on them; a Redis that they say nothing to would be less than was asked for.
  const { REDIS_URL: redis } = settings
  const servers = redis === undefined || 'socketPath' in redis ? undefined : redis
  if (settings.REDIS_REPLICAS_MIN > 0 && redis === undefined) problems.push('REDIS_URL must be set where REDIS_REPLICAS_MIN is')
  if (settings.REDIS_CA_FILE !== undefined && servers?.tls !== true) problems.push('REDIS_URL must be one with TLS (rediss) where REDIS_CA_FILE is set')
  for (const name of ['REDIS_SENTINEL_USER', 'REDIS_SENTINEL_PASSWORD'] as const) {
    if (settings[name] !== undefined && servers?.form !== 'sentinel') problems.push(`REDIS_URL must name sentinels where ${name} is set`)
  }
  return problems
}

function findMissingInProduction (settings: Settings): string[] {
  const needed = ['ISSUERS_FILE', 'SMTP_URL', 'PRIVACY_CONTACT', 'PSEUDONYM_KEY', 'LEDGER_KEY', 'VERIFICATION_PEPPER', 'SEAL_KEYS', 'VERIFICATION_KEYS_FILE'] as const
  const problems = needed.filter(name => settings[name] === undefined).map(name => `${name} must be set in production`)
  if (settings.MAIL_FROM === noSender) problems.push('MAIL_FROM must be set in production')
  if (settings.DEV_TOOLS === 'on') problems.push('DEV_TOOLS must not be on in production')
  if (settings.RECOVERY_DELAY === 0) problems.push('RECOVERY_DELAY must not be 0 in production')
  if (settings.RATE_LIMITS === 'off') problems.push('RATE_LIMITS must not be off in production')
  for (const name of ['EMAIL_RESEND_SECONDS', 'EMAIL_CODES_PER_HOUR', 'EMAIL_CODES_PER_DAY'] as const) {
    if (settings[name] === 0) problems.push(`${name} must not be 0 in production`)
  }
  return problems
}

export type RedisUrl = { socketPath: string } | {
  form: 'single' | 'sentinel' | 'cluster'
  tls: boolean
  nodes: Array<{ host: string, port: number }>
  username?: string
  password?: string
  database?: number
  /** What the sentinels call the primary. */
  primary?: string
}

const defaultPorts = { single: 6379, sentinel: 26_379, cluster: 6379 }
const redisForms = 'must be redis://host:port, redis+sentinel://host:port,host:port/name, redis+cluster://host:port,host:port (rediss for TLS), or unix:///path'

/** One URL for all forms. Not by the class URL, which takes one host only. */
function parseRedisUrl (address: string, context: z.RefinementCtx): RedisUrl {
  const wrong = (): RedisUrl => {
    context.addIssue({ code: 'custom', message: redisForms })
    return { socketPath: '' }
  }
  const socketPath = /^unix:(?:\/\/)?(\/[^/].*)$/.exec(address)?.[1]
  const [, tls, kind = 'single', who, hosts = '', path = ''] = /^redis(s)?(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^/?#]*))?$/.exec(address) ?? []
  const form = kind as keyof typeof defaultPorts
  const nodes = hosts.split(',').map(node => {
    const [, host = '', port] = /^(\[[0-9a-f:.]+\]|[^:[\]\s]+)(?::([0-9]{1,5}))?$/i.exec(node) ?? []
    return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? defaultPorts[form] : Number(port) }
  })
  const isPathRight = form === 'sentinel' ? path !== '' : form === 'cluster' ? path === '' : /^[0-9]{0,4}$/.test(path)
  if (socketPath === undefined && (nodes.some(({ host, port }) => host === '' || port > 65_535) || (form === 'single' && nodes.length > 1) || !isPathRight)) return wrong()
  try {
    if (socketPath !== undefined) return { socketPath: decodeURIComponent(socketPath) }
    const [username, password] = (who ?? '').split(/:(.*)/s).map(part => decodeURIComponent(part))
    return {
      form, tls: tls !== undefined, nodes,
      ...username === undefined || username === '' ? {} : { username },
      ...password === undefined || password === '' ? {} : { password },
      ...form === 'sentinel' ? { primary: decodeURIComponent(path) } : path === '' ? {} : { database: Number(path) }
    }
  } catch {
    return wrong() // A % that stands for nothing.
  }
}

/** `id:base64,id:base64`; the first key seals, all open. */
function parseKeyRing (list: string, context: z.RefinementCtx): Map<string, Buffer> {
  const ring = new Map<string, Buffer>()
  for (const item of list.split(',')) {
    const match = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=)$/.exec(item.trim())
    if (match?.[1] === undefined || match[2] === undefined || ring.has(match[1])) {
      context.addIssue({ code: 'custom', message: 'must be a list of id:key, each key 32 bytes in base64' })
      return ring
    }
    ring.set(match[1], Buffer.from(match[2], 'base64'))
  }
  return ring
}
