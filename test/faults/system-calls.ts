/** The calls a process makes to the kernel on files below a directory: listed with strace, and each one a place to be killed at. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithThis } from './end-with-this.ts'

export interface SystemCall {
  /** As strace spells it. */
  name: string
  /** The first path it names, or that of its file, below the directory. */
  path: string
  /** Which of such calls on this path by one thread, from 1. */
  nth: number
}

/** What happens at a call: the process is killed as it enters it, or the call fails and is not made. */
export type Fault = 'KILL' | 'EIO' | 'ENOSPC'

export interface Trap {
  /** Resolves when it has happened, and with false when it has not for so long. The process is left alone from then on. */
  sprung: (withinMs: number) => Promise<boolean>
}

// What changes a directory or a file, or puts it on disk. A question mark: not every machine has it.
const changing = ['write', 'pwrite64', 'writev', 'pwritev', '?pwritev2', '?rename', '?renameat', 'renameat2', 'fsync', 'fdatasync', '?mkdir', 'mkdirat',
  '?link', 'linkat', '?unlink', 'unlinkat', '?rmdir', 'ftruncate']

/** Why no process can be traced here; undefined when it can. */
export async function whyNotTraced (): Promise<string | undefined> {
  const tried = spawn('strace', ['-o', '/dev/null', '-e', 'trace=none', 'true'], { stdio: 'ignore' })
  return await new Promise(resolve => {
    tried.once('error', () => { resolve('strace is not installed') })
    tried.once('exit', code => { resolve(code === 0 ? undefined : 'strace may not trace a process here') })
  })
}

/** What a process calls while `act` runs, in that order. */
export async function listCalls (pid: number, directory: string, act: () => Promise<void>): Promise<SystemCall[]> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-strace-'))
  try {
    const output = join(folder, 'calls')
    const tracer = await attach(pid, ['-y', '-s', '0', '-e', `trace=${changing.join()}`, '-o', output])
    await act()
    await end(tracer, 'SIGINT')
    return parseCalls(await readFile(output, 'utf8'), directory)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Waits for the process at a call. */
export async function setTrap (pid: number, directory: string, { name, path, nth }: SystemCall, fault: Fault): Promise<Trap> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-strace-'))
  const output = join(folder, 'calls')
  const what = fault === 'KILL' ? 'signal=KILL' : `error=${fault}`
  const tracer = await attach(pid, ['-o', output, '-P', join(directory, path), '-e', `trace=${name}`, '-e', `inject=${name}:${what}:when=${String(nth)}`])
  const hasHappened = async (): Promise<boolean> => hasExited(tracer) || (await readFile(output, 'utf8')).includes('(INJECTED)')
  return {
    async sprung (withinMs) {
      const lateAt = performance.now() + withinMs
      while (!await hasHappened() && performance.now() < lateAt) await sleep(10)
      const happened = await hasHappened()
      await end(tracer, 'SIGKILL') // Told politely, it may wait for a process that is just ending.
      await rm(folder, { recursive: true })
      return happened
    }
  }
}

/** Resolves once each such call of a process takes so much longer, with what ends that. */
export async function slowDown (pid: number, name: string, delayMs: number): Promise<() => Promise<void>> {
  const tracer = await attach(pid, ['-o', '/dev/null', '-e', `trace=${name}`, '-e', `inject=${name}:delay_enter=${String(delayMs * 1000)}`])
  return async () => { await end(tracer, 'SIGINT') }
}

/** Resolves when every thread of the process is traced. */
async function attach (pid: number, args: readonly string[]): Promise<ChildProcess> {
  const tracer = spawn('strace', ['-f', ...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  endWithThis(tracer)
  let said = ''
  const attached = new Promise<boolean>(resolve => {
    tracer.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
      if (/ attached\b.*\n/.test(said)) resolve(true)
    })
  })
  if (!await Promise.race([attached, once(tracer, 'exit').then(() => false)])) throw new Error(`strace has not attached: ${said.trim()}`)
  return tracer
}

/** Lets go of the process; told politely, strace writes down first what it has not yet. */
async function end (tracer: ChildProcess, signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
  if (hasExited(tracer)) return
  const ended = once(tracer, 'exit')
  tracer.kill(signal)
  await ended
}

function hasExited (child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Reads strace's lines: `26528 rename("/a/b", "/a/c") = 0`, `26528 write(110</a/b>, ""..., 1) = 1`. */
function parseCalls (text: string, directory: string): SystemCall[] {
  const seen = new Map<string, number>()
  return text.split('\n').flatMap(line => {
    const [, thread, name, args] = /^(\d+) +(\w+)\((.*)/.exec(line) ?? []
    const path = args?.split(/[<>"]/).find(part => part.startsWith(`${directory}/`))?.slice(directory.length + 1)
    if (thread === undefined || name === undefined || path === undefined) return []
    const key = `${thread} ${name} ${path}`
    const nth = (seen.get(key) ?? 0) + 1
    seen.set(key, nth)
    return [{ name, path, nth }]
  })
}
