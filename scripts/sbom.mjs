// npm run sbom: prints a bill of materials (CycloneDX) of the packages that run in production, as the lock file has them.
// Plain JavaScript without packages: a fresh clone needs nothing else for it.
//
// `npm sbom --omit dev` leaves out what is used both in production and in development, such as zod. So it gets a copy
// of the lock file that knows no development.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [root, lock] = ['package.json', 'package-lock.json'].map(name => JSON.parse(readFileSync(name, 'utf8')))
delete root.devDependencies
delete lock.packages[''].devDependencies
lock.packages = Object.fromEntries(Object.entries(lock.packages).filter(([, { dev }]) => !dev))

const folder = mkdtempSync(join(tmpdir(), 'assent-sbom-'))
try {
  const copy = join(folder, root.name) // npm takes the name of the folder for that of the product.
  mkdirSync(copy)
  writeFileSync(join(copy, 'package.json'), JSON.stringify(root))
  writeFileSync(join(copy, 'package-lock.json'), JSON.stringify(lock))
  execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'], { cwd: copy, stdio: 'inherit' })
} finally {
  rmSync(folder, { recursive: true })
}
