/** Stands between a process and its Redis, counts the commands that matter, and strikes at one of them. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Before Redis has the command, or when Redis has done it and before the process hears so. */
export type Moment = 'before' | 'after'

export interface CommandProxy {
  socket: string
  /** Resolves with the commands that matter, sent while `act` runs. */
  list: (act: () => Promise<void>) => Promise<Array<readonly string[]>>
  /**
   * Calls `strike` at the so many-th command that matters from now on, counted from 1. The connection it came by is dumb then.
   * Resolves with whether it came to that before `rest`.
   */
  aim: (nth: number, moment: Moment, strike: () => void) => Promise<boolean>
  /** Lets everything pass again. */
  rest: () => void
  close: () => void
}

export async function openCommandProxy (socket: string, redisSocket: string, matters: (words: readonly string[]) => boolean): Promise<CommandProxy> {
  const sockets = new Set<Socket>()
  let listed: Array<readonly string[]> | undefined
  let aim: { left: number, moment: Moment, strike: () => void, end: (struck: boolean) => void } | undefined

  /** What is to be done at a command; undefined lets it pass. */
  const takeAim = (words: readonly string[]): typeof aim => {
    if (!matters(words)) return undefined
    listed?.push(words)
    if (aim === undefined || --aim.left > 0) return undefined
    const now = aim
    aim = undefined
    return now
  }

  const serve = (client: Socket): void => {
    const redis = connect(redisSocket)
    let waiting = Buffer.alloc(0)
    let dumb = false
    const pass = (chunk: Buffer): void => { if (!dumb) client.write(chunk) }
    redis.on('data', pass)
    client.on('data', chunk => {
      waiting = Buffer.concat([waiting, chunk])
      for (let command = readCommand(waiting); command !== undefined && !dumb; command = readCommand(waiting)) {
        const bytes = waiting.subarray(0, command.length)
        waiting = waiting.subarray(command.length)
        const now = takeAim(command.words)
        dumb = now !== undefined
        const strike = (): void => {
          now?.strike()
          now?.end(true)
        }
        if (now?.moment === 'before') {
          strike()
        } else {
          redis.write(bytes)
          if (now !== undefined) whenDone(redis, strike)
        }
      }
    })
    for (const [one, other] of [[client, redis], [redis, client]] as const) {
      sockets.add(one)
      one.on('error', () => {}) // The other end was killed.
      one.on('close', () => { sockets.delete(one); other.destroy() })
    }
  }

  const server = createServer(serve)
  server.listen(socket)
  await once(server, 'listening')
  return {
    socket,
    async list (act) {
      const commands = listed = []
      await act()
      listed = undefined
      return commands
    },
    aim: async (nth, moment, strike) => await new Promise(resolve => { aim = { left: nth, moment, strike, end: resolve } }),
    rest () {
      aim?.end(false)
      aim = undefined
    },
    close () {
      server.close()
      for (const open of sockets) open.destroy()
    }
  }
}

/** Redis answers in order, so what it says to this comes after it has done all that was sent before. */
function whenDone (redis: Socket, act: () => void): void {
  const word = randomUUID()
  let heard = ''
  redis.on('data', chunk => {
    heard = (heard + chunk.toString('latin1')).slice(-1000)
    if (!heard.includes(word)) return
    heard = ''
    act()
  })
  redis.write(`PING ${word}\r\n`)
}

/** The first command of what a client has sent; undefined when it is not there whole. */
function readCommand (bytes: Buffer): { words: string[], length: number } | undefined {
  let at = 0
  const readNumber = (): number | undefined => {
    const end = bytes.indexOf('\r\n', at)
    if (end === -1) return undefined
    const number = Number(bytes.toString('latin1', at + 1, end))
    at = end + 2
    return number
  }
  const words: string[] = []
  for (let left = readNumber(); left !== 0; left--) {
    const length = left === undefined ? undefined : readNumber()
    if (left === undefined || length === undefined || bytes.length < at + length + 2) return undefined
    words.push(bytes.toString('latin1', at, at + length))
    at += length + 2
  }
  return { words, length: at }
}
