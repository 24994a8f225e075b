/** The process: reads the settings, starts the service, and ends it when it is told to. */
import cluster from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { ConfigError, readConfig, type Config } from './config.ts'
import { welcome } from './dev/welcome.ts'
import { runCollectorProcess } from './composition/collector-process.ts'
import { startCollectorProcesses } from './composition/collector-processes.ts'
import { runRebuildConsents, tellDoubt, tellRebuild } from './composition/rebuild.ts'
import { runRetryDead } from './composition/retry-dead.ts'
import { runRotateKeys } from './composition/rotate-keys.ts'
import { startService, type Service } from './composition/service.ts'

const help = `Usage: npm start

Stores the usage events of desktop products as far as each person permits.

With nothing configured it runs everything in this process, for development: a private Redis and
ClickHouse in ./data, tokens at /dev/token, mail at /dev/inbox, SQL at /dev/sql.
  npm run keys:rotate    seals everything stored anew by the first key of SEAL_KEYS
  npm run ledger:rebuild makes the choices in Redis again from the ledger in ClickHouse
  npm run queue:retry    offers batches that were given up to the writer again

Settings are environment variables; .env.example describes each of them.

Once it is up: /docs shows every call, /health/ready and /metrics how it is doing.
`

/** A start that is stopped ends with one line for each thing that is wrong. */
function refuse (error: unknown): never {
  const lines = error instanceof ConfigError ? error.message.split('\n') : [(error as Error).message.split('\n', 1)[0] ?? 'unknown']
  for (const line of lines) process.stderr.write(`assent: cannot start: ${line}\n`)
  process.exit(1)
}

const closeWithinMs = 28_000
/** Under npm a Ctrl-C arrives twice: from the terminal, and passed on by npm. */
const sameSignalMs = 1000

/** First others learn that this process ends, then it ends. Who asks a second time wants it at once. */
function closeOnSignal (service: Pick<Service, 'leave' | 'close'>, delayMs: number): void {
  let toldAt: number | undefined
  const end = async (): Promise<void> => {
    process.stderr.write('assent: finishing what is in hand…\n')
    setTimeout(() => { process.exit(1) }, closeWithinMs).unref()
    service.leave()
    await sleep(delayMs)
    await service.close()
  }
  const told = (): void => {
    if (toldAt !== undefined && performance.now() - toldAt < sameSignalMs) return
    if (toldAt !== undefined) process.exit(1)
    toldAt = performance.now()
    void end().then(() => { process.exit(0) }, () => { process.exit(1) })
  }
  process.on('SIGINT', told)
  process.on('SIGTERM', told)
}

/** What cannot be opened would be lost with its key, so it makes the command fail; the rest is done all the same. */
async function rotate (config: Config): Promise<void> {
  const tell = ({ accounts, resealed }: { accounts: number, resealed: number }): string =>
    `assent: ${String(accounts)} accounts read, ${String(resealed)} secrets and addresses sealed anew`
  const done = await runRotateKeys(config, progress => { process.stderr.write(`${tell(progress)}…\n`) })
  process.stdout.write(`${tell(done)}\n`)
  if (done.unreadable === 0) return
  process.stderr.write(`assent: ${String(done.unreadable)} cannot be opened: their keys are not in SEAL_KEYS, or they were altered\n`)
  process.exitCode = 1
}

async function rebuild (config: Config): Promise<void> {
  const done = await runRebuildConsents(config, progress => { process.stderr.write(`assent: ${tellRebuild(progress)}…\n`) })
  process.stdout.write(`assent: ${tellRebuild(done)}\n`)
  if (done.doubtful === 0) return
  process.stderr.write(`assent: ${tellDoubt(done)}\n`)
  process.exitCode = 1
}

async function retry (config: Config): Promise<void> {
  const tell = (offered: number): string => `assent: ${String(offered)} batches that were given up are offered to the writer again`
  process.stdout.write(`${tell(await runRetryDead(config, offered => { process.stderr.write(`${tell(offered)}…\n`) }))}\n`)
}

const commands: Readonly<Record<string, (config: Config) => Promise<void>>> = { 'rotate-keys': rotate, 'rebuild-consents': rebuild, 'retry-dead': retry }

async function run (): Promise<void> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(help)
    return
  }
  const command = process.argv[2]
  if (command !== undefined && !Object.hasOwn(commands, command)) throw new ConfigError([`there is no argument ${command}; see --help`])
  const config = readConfig()
  if (command !== undefined) {
    await commands[command]?.(config)
    return
  }
  const logger = pino({ level: config.LOG_LEVEL })
  if (cluster.isWorker) {
    runCollectorProcess(config, logger)
    return
  }
  process.stderr.write('assent: starting Redis and ClickHouse…\n')
  const service = config.COLLECTOR_PROCESSES > 1 ? await startCollectorProcesses(config, logger) : await startService(config, logger)
  closeOnSignal(service, config.SHUTDOWN_DELAY ?? (config.production ? 5000 : 0))
  if (service.metricsUrl !== undefined) process.stdout.write(`assent metrics on ${service.metricsUrl}\n`)
  process.stdout.write(`assent listening on ${service.url}\n`)
  if (config.devTools && config.ROLE === 'all') process.stdout.write(welcome(service.url, randomUUID))
}

await run().catch(refuse)
