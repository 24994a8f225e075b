// Exits with 0 when node_modules holds what package-lock.json asks for, else with 1.
// Plain JavaScript without packages: it runs on the machine's own Node, before anything is installed.
// npm writes node_modules/.package-lock.json last, so an interrupted install has none.
import { readFileSync } from 'node:fs'

const packagesIn = file => JSON.parse(readFileSync(file, 'utf8')).packages

try {
  const wanted = packagesIn('package-lock.json')
  const present = packagesIn('node_modules/.package-lock.json')
  const current = Object.entries(wanted).every(([path, { version, optional }]) =>
    path === '' || (present[path] ? present[path].version === version : optional === true))
  const known = Object.keys(present).every(path => path in wanted)
  process.exitCode = current && known ? 0 : 1
} catch {
  process.exitCode = 1
}
