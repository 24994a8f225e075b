/** A copy of the service with one promise broken: what the oracle must find. The product itself has no switch for that. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Patch { file: string, find: RegExp, put: string }

const root = join(import.meta.dirname, '..', '..')

/** Makes the copy, uses it, and removes it. @throws when a text to replace is not there exactly once */
export async function withPatchedCopy<Result> (patches: Patch | readonly Patch[], use: (root: string) => Promise<Result>): Promise<Result> {
  const copy = await mkdtemp(join(tmpdir(), 'assent-patched-'))
  try {
    for (const part of ['src', 'migrations', 'schemas', 'package.json']) await cp(join(root, part), join(copy, part), { recursive: true })
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
    for (const { file, find, put } of [patches].flat()) {
      const before = await readFile(join(copy, file), 'utf8')
      const found = before.match(new RegExp(find, 'g'))?.length ?? 0
      if (found !== 1) throw new Error(`the text to break in ${file} is there ${String(found)} times; this control must follow the code`)
      await writeFile(join(copy, file), before.replace(find, put))
    }
    return await use(copy)
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}
