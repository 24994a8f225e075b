/** One process of the service, which can be ended in any way and started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endWithThis } from './end-with-this.ts'

export interface LaunchOptions {
  /** Where its sources are. */
  root: string
  environment: Record<string, string>
  /** A command that runs it, with its arguments. */
  under?: readonly string[] | undefined
}

export interface ServiceProcess {
  /** @throws while it is down, as a connection to it would */
  url: () => string
  isUp: () => boolean
  pid: () => number
  /** Resolves when it listens. */
  start: (options?: Partial<LaunchOptions>) => Promise<void>
  /** Sends a signal, and resolves with the exit code once it has ended; null when the signal ended it. */
  end: (signal: NodeJS.Signals) => Promise<number | null>
  signal: (signal: NodeJS.Signals) => void
  /** Resolves when it has ended by itself. */
  ended: () => Promise<void>
  /** The end of what it wrote to standard error and its log. */
  said: () => string
}

const startsWithinMs = 120_000

export function makeServiceProcess (launch: LaunchOptions): ServiceProcess {
  let child: ChildProcess | undefined
  let url: string | undefined
  let said = ''
  const isUp = (): boolean => url !== undefined

  /** As a supervisor does: a start that a busy store has stopped is made again. */
  const start: ServiceProcess['start'] = async options => {
    for (let again = 5; ; again--) {
      try {
        await startOnce(options)
        return
      } catch (error) {
        if (again === 0) throw error
        await sleep(1000)
      }
    }
  }

  const startOnce: ServiceProcess['start'] = async options => {
    const { root, environment, under } = { ...launch, ...options }
    const [command, ...args] = [...(under ?? []), process.execPath, join(root, 'src', 'main.ts')]
    const started = spawn(command, args, { env: { PATH: process.env['PATH'], PORT: '0', LOG_LEVEL: 'warn', ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    endWithThis(started)
    const listen = (chunk: string): void => { said = (said + chunk).slice(-4000) }
    started.stderr.setEncoding('utf8').on('data', listen)
    let output = ''
    const listening = new Promise<string>(resolve => {
      started.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        listen(chunk)
        if (url !== undefined) return
        output += chunk
        const found = /^assent listening on (\S+)\n/m.exec(output)?.[1]
        if (found !== undefined) resolve(found)
      })
    })
    started.once('exit', () => { if (child === started) url = undefined })
    const timer = setTimeout(() => started.kill('SIGKILL'), startsWithinMs)
    const found = await Promise.race([listening, once(started, 'exit').then(() => undefined)])
    clearTimeout(timer)
    if (found === undefined) throw new Error(`the service has not started: ${said.trim().split('\n').slice(-2).join(' | ').slice(-300)}`)
    url = found
  }

  const end: ServiceProcess['end'] = async signal => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    if (signal === 'SIGKILL') url = undefined
    child.kill(signal)
    const [code] = await ended as [number | null]
    return code
  }

  return {
    isUp, start, end,
    url () {
      if (url === undefined) throw new Error('it is down')
      return url
    },
    pid: () => child!.pid!,
    signal: signal => { child?.kill(signal) },
    async ended () {
      if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
    said: () => said
  }
}
