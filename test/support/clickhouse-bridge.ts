/** Starts a stand-in for a remote ClickHouse server, and makes it misbehave. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface BridgeSwitches {
  user: string
  password: string
  /** A user that may only read, as name:password. */
  reader: string
  /** How many inserts from now on are held up by `slowMs` before they are carried out. */
  slowInserts: number
  slowMs: number
  /** How many inserts from now on are carried out and never answered. */
  droppedAnswers: number
  /** How many inserts from now on are refused with `failCode`, a number of ClickHouse's. */
  failedInserts: number
  failCode: string
}

export interface BridgeStatistics { inserts: number, readerQueries: number, compressedRequests: number, compressedAnswers: number }

export interface Bridge {
  url: string
  /** Where it keeps its data. */
  directory: string
  pid: () => number
  /** Turns switches, and tells what it has done so far. */
  set: (switches: Partial<BridgeSwitches>) => Promise<BridgeStatistics>
  kill: () => Promise<void>
  /** Starts it again on the same directory and port, with the switches that were set last. */
  start: () => Promise<void>
}

/** `copy`: the data to begin with. */
export async function startBridge (t: Test, copy?: string): Promise<Bridge> {
  const directory = await mkdtemp(join(tmpdir(), 'assent-bridge-'))
  if (copy !== undefined) await cp(copy, directory, { recursive: true })
  const bridge = await openBridge(directory)
  t.teardown(async () => {
    await bridge.kill()
    await rm(directory, { recursive: true, force: true })
  })
  return bridge
}

/** For whoever ends it without a test: `kill` does. */
export async function openBridge (directory: string): Promise<Bridge> {
  let port = 0
  let child: ChildProcess
  let switched: Partial<BridgeSwitches> = {}

  const set = async (switches: Partial<BridgeSwitches>): Promise<BridgeStatistics> => {
    switched = { ...switched, ...switches }
    const told = once(child, 'message')
    child.send(switches)
    return (await told)[0] as BridgeStatistics
  }
  const start = async (): Promise<void> => {
    child = fork(new URL('./clickhouse-bridge-server.ts', import.meta.url), [directory, String(port)], { execArgv: [] })
    port = (await Promise.race([once(child, 'message'), once(child, 'exit')]))[0] as number
    await set(switched)
  }
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  await start()
  return { directory, get url () { return `http://127.0.0.1:${String(port)}` }, pid: () => child.pid!, set, kill, start }
}
