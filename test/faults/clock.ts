/** Clocks of processes that can be set while they run, with libfaketime; what measures durations goes on undisturbed. */
import { execFile } from 'node:child_process'
import { glob, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface Clock {
  /** What the process to have it needs in its environment. */
  environment: Record<string, string>
  /** By how many seconds it is wrong from now on. Resolves when the process knows. */
  set: (offsetSeconds: number) => Promise<void>
}

async function findLibrary (): Promise<string | undefined> {
  for await (const file of glob('/usr/lib{,64,/*}/faketime/libfaketimeMT.so.1')) return file
  return undefined
}

/** `file`: a file of its own, that is made. */
export async function makeClock (file: string, offsetSeconds = 0): Promise<Clock> {
  const library = await findLibrary()
  if (library === undefined) throw new Error('libfaketime is not installed')
  const write = async (seconds: number): Promise<void> => { await writeFile(file, `${seconds < 0 ? '' : '+'}${String(seconds)}\n`) }
  await write(offsetSeconds)
  return {
    environment: {
      // The allocator of Redis asks for the time before the library is ready; that of libc does not.
      LD_PRELOAD: `${library} libc.so.6`,
      FAKETIME_TIMESTAMP_FILE: file, FAKETIME_CACHE_DURATION: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1'
    },
    async set (seconds) {
      await write(seconds)
      await sleep(2500) // It is read every second or two.
    }
  }
}

/** Why no clock can be set here; undefined when it can. */
export async function whyNoClocks (file: string): Promise<string | undefined> {
  if (await findLibrary() === undefined) return 'libfaketime is not installed'
  try {
    const { environment } = await makeClock(file, 86_400)
    const run = promisify(execFile)
    const env = { PATH: process.env['PATH'], ...environment }
    const { stdout } = await run(process.execPath, ['-p', 'Date.now()'], { env, timeout: 10_000 })
    await run('redis-server', ['--version'], { env, timeout: 10_000 })
    return Number(stdout) > Date.now() + 80_000_000 ? undefined : 'libfaketime does not reach the clock of Node'
  } catch {
    return 'libfaketime does not get on with Node or Redis here'
  }
}
