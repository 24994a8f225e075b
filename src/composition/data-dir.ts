/** The data directory: made when it is missing, written to, and held by one process at a time. */
import { createHash } from 'node:crypto'
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface DataDir {
  path: string
  /** Where a Unix socket of this directory lives: in it, or in the system's temporary directory when its path is too long. */
  socketPath: (name: string) => string
  release: () => Promise<void>
}

const socketPathMax = 100

/** @throws with one clear line when it cannot be written or another process holds it */
export async function openDataDir (wanted: string): Promise<DataDir> {
  try {
    // Below some paths, such as /proc, this would try for ever.
    await Promise.race([mkdir(wanted, { recursive: true, mode: 0o700 }), sleep(5000, undefined, { ref: false }).then(() => { throw new Error('it cannot be made') })])
    const trial = join(wanted, '.writable')
    await writeFile(trial, '')
    await rm(trial)
  } catch (cause) {
    throw new Error(`DATA_DIR ${wanted} cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause })
  }
  const path = await realpath(wanted)
  const socketPath = (name: string): string => {
    const inside = join(path, name)
    if (inside.length <= socketPathMax) return inside
    return join(tmpdir(), `assent-${createHash('sha256').update(inside).digest('hex').slice(0, 24)}.sock`)
  }
  const lock = await hold(socketPath('assent.sock'))
  if (lock === undefined) throw new Error(`DATA_DIR ${path} is in use by another assent process`)
  return {
    path,
    socketPath,
    release: async () => { await new Promise<void>(resolve => { lock.close(() => { resolve() }) }) }
  }
}

/** A socket that this process listens on as long as it lives; undefined when another process does. */
async function hold (socketPath: string): Promise<Server | undefined> {
  const server = await listen(socketPath)
  if (server !== undefined) return server
  if (await isAlive(socketPath)) return undefined
  await rm(socketPath, { force: true }) // Left by a process that was killed.
  return await listen(socketPath)
}

async function listen (socketPath: string): Promise<Server | undefined> {
  const server = createServer(socket => socket.destroy()).unref()
  return await new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(socketPath, () => { resolve(server) })
  })
}

async function isAlive (socketPath: string): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect(socketPath)
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => { resolve(false) })
  })
}
