/** Commands that are sent together travel together. */
import type { Redis } from 'ioredis'

/**
 * Has a connection hold what is sent while the event loop works off what has arrived, and write it at once: a batch
 * takes five commands, and each would be a system call that costs more than making the command. A command's answer,
 * its failure and its time are its own, which ioredis' automatic pipelining would change.
 */
export function writeTogether (redis: Redis): void {
  let held: Redis['stream'] | undefined
  const release = (): void => {
    held?.uncork()
    held = undefined
  }
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (...sent) => {
    const { stream } = redis as { stream?: Redis['stream'] }
    if (held === undefined && stream !== undefined && redis.status === 'ready') {
      held = stream
      stream.cork()
      setImmediate(release)
    }
    return send(...sent)
  }
}
