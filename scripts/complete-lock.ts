// Adds to package-lock.json the optional packages of other platforms, where npm left them out.
//
// A package with native parts lists one optional package per platform. npm records them all, but
// only those that its registry knows; behind a mirror without them, the lock file ends up one
// that `npm ci` rejects ("Missing: … from lock file"), here and on the platforms left out. Their
// exact versions stand in the package that lists them, so they can be added without the
// registry; only the integrity is missing until npm next sees them.
import { readFileSync, writeFileSync } from 'node:fs'

interface Locked {
  version?: string
  license?: string
  cpu?: string[]
  os?: string[]
  libc?: string[]
  dev?: boolean
  optional?: boolean
  optionalDependencies?: Record<string, string>
}

const lockFile = 'package-lock.json'
const platformName = /-(darwin|linux|win32|android|freebsd|openharmony)-(arm64|arm|x64|ia32|ppc64|riscv64|s390x)(?:-(gnu|musl)?(?:eabihf|eabi|msvc)?)?$/

const lock = JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Record<string, Locked> }
const added = Object.entries(lock.packages).flatMap(([path, parent]) => path === '' ? [] : missingOf(path, parent))

for (const [path, locked] of added) lock.packages[path] = locked
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')))
if (added.length > 0) writeFileSync(lockFile, `${JSON.stringify(lock, null, 2)}\n`)
for (const [path, locked] of added) console.log(`added ${path} ${locked.version ?? ''}`)
console.log(added.length > 0 ? 'run `npm ci` to see that the lock file is accepted' : `${lockFile} is complete`)

/** The platform packages that a locked package lists and the lock file lacks. */
function missingOf (path: string, parent: Locked): [string, Locked][] {
  return Object.entries(parent.optionalDependencies ?? {}).flatMap(([name, version]) => {
    const [, os, cpu, libc] = platformName.exec(name) ?? []
    const exact = /^\d+\.\d+\.\d+/.test(version)
    const present = `${path}/node_modules/${name}` in lock.packages || `node_modules/${name}` in lock.packages
    if (present || !exact || os === undefined || cpu === undefined) return []
    return [[`node_modules/${name}`, {
      version,
      cpu: [cpu],
      ...(parent.dev && { dev: true }),
      ...(libc && { libc: [libc === 'gnu' ? 'glibc' : libc] }),
      ...(parent.license && { license: parent.license }),
      optional: true,
      os: [os]
    }]]
  })
}
