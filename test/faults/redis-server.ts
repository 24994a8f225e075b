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
  /** Resolves when it answers, whatever the answer is. */
  start: (...options: string[]) => Promise<void>
  /** Runs commands on a connection of their own. */
  ask: <Result>(use: (redis: Redis) => Promise<Result>) => Promise<Result>
}

export async function startRedisServer (folder: string): Promise<RedisServer> {
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
  const start: RedisServer['start'] = async (...options) => {
    child = spawn('redis-server', [
      '--port', '0', '--unixsocket', socket, '--dir', folder, '--logfile', join(folder, 'redis.log'),
      '--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction', ...options
    ], { stdio: 'ignore' })
    endWithThis(child)
    await ask(async redis => await redis.ping())
  }
  await start()
  return {
    socket, ask, start,
    pid: () => child.pid!,
    async kill () {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }
}
