/** A Redis as those who run the service set it up, on a Unix socket, that can be killed, stopped and started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { endWithThis } from './end-with-this.ts'

export interface RedisServer {
  socket: string
  pid: () => number
  kill: () => Promise<void>
  /** Resolves when it answers. @throws when it ends before that */
  start: () => Promise<void>
  /** Resolves when it has ended by itself. */
  ended: () => Promise<void>
  /** Runs commands on a connection of their own. */
  ask: <Result>(use: (redis: Redis) => Promise<Result>) => Promise<Result>
}

export interface RedisServerOptions {
  /** Where its append-only file is, if not beside the socket. */
  data?: string
  environment?: Record<string, string>
  /** More of its settings. */
  settings?: readonly string[]
}

export async function startRedisServer (folder: string, { data = folder, environment = {}, settings = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const socket = join(folder, 'redis.sock')
  let child: ChildProcess
  const ask: RedisServer['ask'] = async use => {
    const redis = new Redis({ path: socket, retryStrategy: () => 20, maxRetriesPerRequest: 500 })
    redis.on('error', () => {}) // It is not up yet.
    try {
      return await use(redis)
    } finally {
      redis.disconnect()
    }
  }
  const start: RedisServer['start'] = async () => {
    const started = spawn('redis-server', [
      '--port', '0', '--unixsocket', socket, '--dir', data, '--logfile', join(folder, 'redis.log'),
      '--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction', ...settings
    ], { stdio: 'ignore', env: { PATH: process.env['PATH'], ...environment } })
    child = started
    endWithThis(started)
    const answers = ask(async redis => await redis.ping())
    answers.catch(() => {})
    if (await Promise.race([answers, once(started, 'exit').then(() => undefined)]) === undefined) throw new Error('Redis has ended before it answered')
  }
  await start()
  return {
    socket, ask, start,
    pid: () => child.pid!,
    async ended () {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
    async kill () {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }
}
