/**
 * Loaded before the service, in each of its threads (`--import`): one SIGUSR2 starts a profile of all of them, the next has
 * each write what it saw below `PROFILE_DIR`.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { BroadcastChannel, isMainThread, threadName } from 'node:worker_threads'

const file = join(process.env['PROFILE_DIR'] ?? '', isMainThread ? 'serving' : threadName ?? '')
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 500 })
let running = false
const turn = (): void => {
  running = !running
  void (running ? session.post('Profiler.start') : write())
}

async function write (): Promise<void> {
  const { profile } = await session.post('Profiler.stop')
  writeFileSync(`${file}.part`, JSON.stringify(profile))
  renameSync(`${file}.part`, `${file}.json`)
}

const threads = new BroadcastChannel('profiler').unref()
threads.onmessage = turn
if (isMainThread) {
  process.on('SIGUSR2', () => {
    threads.postMessage('turn')
    turn()
  })
}
