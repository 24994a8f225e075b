/** A command that was answered keeps nothing of what it was given. */
import type { Cluster, Command } from 'ioredis'
import type { RedisClient } from './servers.ts'

/**
 * Empties commands once they are answered. ioredis gives each a property that is a function; such functions V8 makes among
 * the old objects, and what they refer to stays until the next whole collection of garbage: a batch as it was written,
 * long after it is on the disk.
 */
export function emptySpentCommands (redis: RedisClient): void {
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (...sent: Parameters<Cluster['sendCommand']>) => {
    const [command, pipeline] = sent
    const answer = send(...sent)
    // One that failed may be sent again, and one of a pipeline with the whole of it.
    if (pipeline === undefined) command.promise.then(emptying(command), () => {})
    return answer
  }
}

/** Made here, for a function that is written where it is assigned would be one more of those. */
function emptying (command: Command): () => void {
  return () => { command.args = [] }
}
