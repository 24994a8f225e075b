/** A private redis-server as a child process, for a service that was given no Redis. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

export interface EmbeddedRedis {
  socketPath: string
  /** Ends the server after its last write is on disk. */
  close: () => Promise<void>
}

// The server ends when this process does, however that ends: the shell sees its standard input close.
const superviseScript = `
exec 3<&0
redis-server "$@" </dev/null 3<&- &
server=$!
{ cat >/dev/null <&3; kill "$server"; } 2>/dev/null &
wait "$server"
`

/**
 * Starts a redis-server on a Unix socket, keeping its data in `dir`, and starts it again whenever it ends by itself.
 * `socketPath` may lie elsewhere, since a socket's path is limited to about 100 bytes.
 * @throws when the server does not answer within `readyWithinMs`
 */
export async function startEmbeddedRedis (
  { dir, socketPath, readyWithinMs, onRestart }: { dir: string, socketPath: string, readyWithinMs: number, onRestart: () => void }
): Promise<EmbeddedRedis> {
  await mkdir(dir, { recursive: true })
  await endLeftover(socketPath)
  const logFile = join(dir, 'redis.log')
  let closing = false
  let ready = false
  let child: ChildProcess

  const launch = (): void => {
    child = spawn('sh', ['-c', superviseScript, 'assent-redis',
      '--port', '0', '--unixsocket', socketPath, '--unixsocketperm', '700', '--dir', dir, '--logfile', logFile,
      '--appendonly', 'yes', '--appendfsync', 'always', '--auto-aof-rewrite-min-size', '256mb', '--save', '', '--maxmemory-policy', 'noeviction'
    ], { stdio: ['pipe', 'ignore', 'ignore'], detached: true }) // Detached: a terminal's Ctrl-C is for the service, which drains first.
    child.on('exit', () => {
      if (closing || !ready) return
      onRestart()
      setTimeout(launch, 100)
    })
  }
  launch()

  const close = async (): Promise<void> => {
    closing = true
    if (child.exitCode !== null) return
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.stdin?.end()
    await ended
  }
  ready = await answers(socketPath, readyWithinMs, () => child.exitCode !== null)
  if (!ready) {
    await close()
    const log = await readFile(logFile, 'utf8').catch(() => '')
    const said = log.trim().split('\n').slice(-3).join(' | ')
    throw new Error(said === '' ? 'redis-server did not start; is it installed?' : `redis-server did not start; the end of ${logFile}: ${said}`)
  }
  return { socketPath, close }
}

/** A server left by a process that was killed: this process holds the data directory, so it is nobody's. */
async function endLeftover (socketPath: string): Promise<void> {
  const redis = probe(socketPath)
  try {
    await redis.connect()
    await redis.shutdown()
  } catch {
    // None there, or gone while it was told to go: both are what is wanted.
  } finally {
    redis.disconnect()
  }
}

async function answers (socketPath: string, withinMs: number, hasEnded: () => boolean): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline && !hasEnded()) {
    const redis = probe(socketPath)
    try {
      await redis.connect()
      await redis.ping()
      return true
    } catch {
      await sleep(20)
    } finally {
      redis.disconnect()
    }
  }
  return false
}

function probe (socketPath: string): Redis {
  const redis = new Redis({ path: socketPath, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0, commandTimeout: 5000 })
  redis.on('error', () => {})
  return redis
}
