/** A write that is acknowledged must outlive its primary. */
import type { Cluster } from 'ioredis'
import { serversOf, type RedisClient } from './servers.ts'

/**
 * Has every script on a connection, and what goes to an outbox by itself, answer only once what the connection has written
 * is on as many replicas; else it fails, though it was carried out. What is acknowledged to anyone is written so, in the
 * queue too; an export that was only begun is asked for again if it is lost.
 */
export function answerWhenReplicated (redis: RedisClient, replicas: number, withinMs: number): void {
  let asking: Promise<void> | undefined
  const ask = async (): Promise<void> => {
    await new Promise(setImmediate) // Answers that arrived together are asked for together.
    asking = undefined
    const counts = await Promise.all(serversOf(redis).map(async server => await server.wait(replicas, withinMs)))
    if (counts.some(count => count < replicas)) throw new Error('too few replicas have it')
  }
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (...sent: Parameters<Cluster['sendCommand']>) => {
    const [command, pipeline] = sent
    const answer = send(...sent)
    if (!/^(?:eval|evalsha|xadd)$/.test(command.name) || pipeline !== undefined || !(answer instanceof Promise)) return answer
    const settled = answer.then(async (value: unknown) => {
      await (asking ??= ask())
      return value
    })
    settled.catch(() => {}) // The driver sends anew what a lost connection left open, and asks the first answer only.
    return settled
  }
}
