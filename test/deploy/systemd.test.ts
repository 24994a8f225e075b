import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readExample, roles } from './example.ts'

const folder = join(import.meta.dirname, '..', '..', 'deploy', 'systemd')
const unit = readFileSync(join(folder, 'assent@.service'), 'utf8')
const valuesOf = (name: string): string[] => [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value!)

function assignments (text: string, separator: RegExp): Record<string, string> {
  return Object.fromEntries(text.split(separator).filter(line => line !== '' && !line.startsWith('#')).map(line => line.split(/=(.*)/s).slice(0, 2)))
}

const file = assignments(readFileSync(join(folder, 'assent.env.example'), 'utf8'), /\n/)

for (const role of roles) {
  t.test(`unit and example start a ${role} in production`, async t => {
    const given = assignments(valuesOf('Environment').join(' ').replaceAll('%i', role), / /)
    t.match(readExample(t, { ...given, ...file }), { ROLE: role })
  })
}

t.test('systemd waits longer than a process takes to end', async t => {
  t.ok(Number(valuesOf('TimeoutStopSec')[0]) > 30)
})

const missing = spawnSync('systemd-analyze', ['--version']).error !== undefined && 'systemd-analyze is not installed'

t.test('systemd understands every line of the unit', { skip: missing }, async t => {
  // Node is elsewhere on other machines.
  const copy = join(t.testdir(), 'assent@.service')
  writeFileSync(copy, unit.replace('/usr/bin/node', process.execPath))
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8' })
  t.equal(status, 0)
  t.same(stderr.split('\n').filter(line => line.includes('assent@')), [])
})
