/** The service as a process of its own, as those who run it start and end it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeApi, type Api } from '../support/api.ts'

const root = join(import.meta.dirname, '..', '..')

export interface Ended { code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }

export interface ServiceProcess extends Api {
  url: string
  pid: number
  /** Sends a signal, and resolves when the process has ended. */
  end: (signal: NodeJS.Signals) => Promise<Ended>
}

type Environment = Record<string, string>

/** Who cleans up: a test, or what runs without one. */
export type Owner = Pick<Test, 'teardown'>

/** A directory that goes when the test ends. Its path is short enough for sockets. */
export async function makeFolder (t: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-test-'))
  t.teardown(async () => { await rm(folder, { recursive: true, force: true, maxRetries: 5 }) })
  return folder
}

/** Runs a start that is expected to end by itself. */
export async function runToEnd (t: Owner, environment: Environment, args: readonly string[] = []): Promise<Ended> {
  const { child, ended, url } = launch(t, environment, args)
  void url.then(() => child.kill('SIGKILL')) // It has started after all.
  return await ended
}

/** Starts the service, and resolves when it says that it listens. */
export async function startProcess (t: Owner, environment: Environment): Promise<ServiceProcess> {
  const { child, ended, url } = launch(t, environment)
  const found = await Promise.race([url, ended])
  if (typeof found !== 'string') throw new Error(`the service has not started: ${found.stderr}`)
  return {
    ...makeApi(() => found),
    url: found,
    pid: child.pid!,
    async end (signal) {
      child.kill(signal)
      return await ended
    }
  }
}

/** The processes that a process has started and that have not ended, oldest first. */
export function childrenOf (pid: number): number[] {
  return readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').split(' ').filter(text => text !== '').map(Number)
}

/** Whether it is there and not merely waits for someone to ask how it ended. */
export function isRunning (pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Tests share a machine, and are not about its load; limits have tests of their own, and so has the thread that large batches go to. */
const patient = { EVENT_LOOP_DELAY_MAX_MS: '60000', INTAKE_BATCHES_MAX: '10000', RATE_LIMIT_PER_SUBJECT: '1000000', RATE_LIMIT_PER_ADDRESS: '1000000', INTAKE_THREADS: '0' }

function launch (t: Owner, environment: Environment, args: readonly string[] = []): { child: ChildProcess, ended: Promise<Ended>, url: Promise<string> } {
  const child = spawn(process.execPath, [join(root, 'src', 'main.ts'), ...args], {
    env: { PATH: process.env['PATH'], PORT: '0', LOG_LEVEL: 'warn', ...patient, ...environment }, stdio: ['ignore', 'pipe', 'pipe']
  })
  const text = { stdout: '', stderr: '' }
  const url = new Promise<string>(resolve => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text.stdout += chunk
      const ready = /^assent listening on (\S+)\n/m.exec(text.stdout)?.[1]
      if (ready !== undefined) resolve(ready)
    })
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { text.stderr += chunk })
  const ended = new Promise<Ended>(resolve => { child.on('close', (code, signal) => { resolve({ code, signal, ...text }) }) })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, ended, url }
}
