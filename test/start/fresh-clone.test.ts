import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { eventually } from '../support/service.ts'
import { makeFolder } from './process.ts'

t.setTimeout(900_000) // A clone that has to install its packages needs a while.

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')

/** What a newcomer's shell has: nothing of this checkout, and no settings. */
const environment = {
  HOME: process.env['HOME'],
  PATH: process.env['PATH']?.split(':').filter(folder => !folder.includes('node_modules')).join(':'),
  PORT: '0'
}

/** Runs commands as they are pasted, one after the other in one shell, and returns what each printed. */
async function paste (commands: readonly string[]): Promise<string[]> {
  const { stdout } = await run('bash', ['-c', commands.join('\necho -n "<next>"\n')], { env: environment })
  return stdout.split('<next>')
}

t.test('on a fresh clone npm start does everything, and what it prints works as pasted', async t => {
  const clone = join(await makeFolder(t), 'assent')
  await run('git', ['clone', '--quiet', root, clone])
  // Spares the download where the packages are those that the clone asks for. Hard links, since npm empties what a symbolic link leads to.
  await run('cp', ['-alH', join(root, 'node_modules'), join(clone, 'node_modules')]).catch(() => {})

  const npm = spawn('npm', ['start'], { cwd: clone, env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  let progress = ''
  npm.stdout.setEncoding('utf8').on('data', (chunk: string) => { output += chunk })
  npm.stderr.setEncoding('utf8').on('data', (chunk: string) => { progress += chunk })
  const ended = new Promise<number | null>(resolve => { npm.on('close', resolve) })
  t.teardown(async () => {
    if (npm.exitCode === null && npm.signalCode === null) process.kill(-npm.pid!, 'SIGKILL')
    await ended
  })
  await eventually('it is ready', async () => {
    if (npm.exitCode !== null) throw new Error(`npm start has ended: ${progress}`)
    return /^assent listening on http:\/\/127\.0\.0\.1:\d+$/m.test(output) && output.includes('/dev/sql')
  }, 800_000)
  t.match(progress, /^assent: /m, 'it said what it was doing')

  const [, printed = ''] = output.split(/^assent listening on .*$/m)
  const commands = printed.split('\n').filter(line => /^[^\s{]/.test(line)) // A line of the log begins with a brace.
  t.equal(commands.length, 3, output)
  t.ok(commands.every(command => command.includes('curl ')))
  const [agreed, posted] = await paste(commands.slice(0, 2))
  t.match(JSON.parse(agreed!), { device_id: 'demo-pc', choices: { product_analytics: { state: 'granted' } } })
  t.match(JSON.parse(posted!), { accepted: 2, dropped: 1, rejected: 0, results: [{ outcome: 'dropped', reason: 'not_granted' }] })
  const seen = async (): Promise<Array<Record<string, unknown>>> =>
    (await paste(commands.slice(2)))[0]!.trim().split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>)
  await eventually('what became of all three can be seen', async () => (await seen()).length === 3)
  t.same((await seen()).sort((a, b) => String(a['event']) < String(b['event']) ? -1 : 1).map(({ events, ...row }) => ({ ...row, events: Number(events) })), [
    { event: 'command.run', purpose: 'product_analytics', outcome: 'stored', reason: 'device_granted', events: 1 },
    { event: 'crash.reported', purpose: 'diagnostics', outcome: 'dropped', reason: 'not_granted', events: 1 },
    { event: 'license.heartbeat', purpose: 'license_compliance', outcome: 'stored', reason: 'required', events: 1 }
  ])

  process.kill(-npm.pid!, 'SIGINT') // As Ctrl-C does: to npm and to the service.
  t.equal(await ended, 0)
  t.match(progress, /finishing what is in hand/)
  t.equal((await run('git', ['status', '--porcelain'], { cwd: clone })).stdout, '', 'the clone is as it was')
})
