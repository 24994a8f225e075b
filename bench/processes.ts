/** Starts what a benchmark measures, each in a process of its own, and ends it. */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface Running {
  url: string
  pid: number
  stop: () => Promise<void>
}

/** All load comes from one address, much of it from one account: it is counted as ever, and not refused for that. */
const oneCrowd = { RATE_LIMIT_PER_SUBJECT: '10000000', RATE_LIMIT_PER_ADDRESS: '10000000' }

/** Runs a script of this project and waits for the line that names its address. */
export async function runServer (script: string, environment: Record<string, string> = {}): Promise<Running> {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '16', LOG_LEVEL: 'error', PORT: '0', ...oneCrowd, ...environment }, stdio: ['ignore', 'pipe', 'inherit']
  })
  const kill = (): void => { child.kill('SIGKILL') } // Also when the benchmark fails half-way, or the child is paused.
  process.prependOnceListener('exit', kill)
  const ended = new Promise<void>(resolve => child.once('exit', () => { process.off('exit', kill); resolve() }))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', line => {
      const match = /listening on (http:\S+)/.exec(line)
      if (match?.[1] !== undefined) resolve(match[1])
    })
    child.once('exit', code => { reject(new Error(`${script} ended with ${String(code)} before it was ready`)) })
  })
  return { url, pid: child.pid ?? 0, stop: async () => { child.kill('SIGTERM'); await ended } }
}

export async function withTemporaryDir<T> (use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'assent-bench-'))
  const remove = (): void => { rmSync(dir, { recursive: true, force: true, maxRetries: 3 }) }
  process.once('exit', remove) // Whoever interrupts the benchmark wants no remains either.
  try {
    return await use(dir)
  } finally {
    process.off('exit', remove)
    remove()
  }
}
