// Appends the checksums of new event schemas to the list of released ones, which never change again.
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const help = `Usage: npm run schemas:release [-- --help]

Releases the event schemas under schemas/events: writes the sha256 of each file that is not
yet in schemas/released.sha256 into it, sorted by path, and prints what it added.
A released schema is final: if one has changed or is gone, it is named, nothing is written,
and the exit code is 1. Release a new version under another file name instead.

The list has the format of sha256sum: (cd schemas && sha256sum -c released.sha256)
`

const listName = 'released.sha256'
const argument = process.argv[2]

if (argument === '--help' || argument === '-h') {
  process.stdout.write(help)
} else if (argument !== undefined) {
  process.stderr.write(`unknown argument ${argument}\n\n${help}`)
  process.exitCode = 2
} else {
  process.exitCode = release('schemas')
}

function release (folder: string): 0 | 1 {
  const released = readList(join(folder, listName))
  const broken = [...released].flatMap(([path, checksum]) => {
    if (!existsSync(join(folder, path))) return [`${path} was released and is gone`]
    return checksumOf(join(folder, path)) === checksum ? [] : [`${path} was released and has changed`]
  })
  if (broken.length > 0) {
    for (const problem of broken) console.error(problem)
    return 1
  }

  const added = globSync('events/**/*.json', { cwd: folder }).filter(path => !released.has(path)).sort()
  for (const path of added) released.set(path, checksumOf(join(folder, path)))
  if (added.length > 0) writeList(join(folder, listName), released)
  for (const path of added) console.log(`released ${path}`)
  if (added.length === 0) console.log('nothing new to release')
  return 0
}

/** Path to checksum, in hexadecimal; empty before the first release. Throws on a line of another form. */
function readList (file: string): Map<string, string> {
  if (!existsSync(file)) return new Map()
  return new Map(readFileSync(file, 'utf8').split('\n').filter(line => line !== '').map((line, index) => {
    const [, checksum, path] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? []
    if (checksum === undefined || path === undefined) throw new Error(`${file}:${index + 1} is not a sha256sum line`)
    return [path, checksum]
  }))
}

/** Replaces the list in one step, so that a crash leaves the old or the new one. */
function writeList (file: string, released: Map<string, string>): void {
  const lines = [...released].sort(([a], [b]) => a < b ? -1 : 1).map(([path, checksum]) => `${checksum}  ${path}\n`)
  writeFileSync(`${file}.new`, lines.join(''))
  renameSync(`${file}.new`, file)
}

function checksumOf (file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
