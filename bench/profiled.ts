/** The service under a profiler: one SIGUSR2 starts it, the next has it write what it saw to `PROFILE_FILE`. */
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

const file = process.env['PROFILE_FILE'] ?? ''
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 500 })
let running = false
process.on('SIGUSR2', () => {
  running = !running
  void (running ? session.post('Profiler.start') : write())
})

async function write (): Promise<void> {
  const { profile } = await session.post('Profiler.stop')
  writeFileSync(`${file}.part`, JSON.stringify(profile))
  renameSync(`${file}.part`, file)
}

await import('../src/main.ts')
