/** Reads the files of the catalogue; whatever is wrong is said with the file's name. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'

export function pointerOf (path: readonly string[]): string {
  return path.map(name => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

export function refuseRepeats (file: string, names: readonly string[]): void {
  const repeated = names.find((name, index) => names.indexOf(name) !== index)
  if (repeated !== undefined) throw new Error(`${file}: ${repeated} is there twice`)
}

export async function readJson (directory: string, path: string): Promise<unknown> {
  const content = await readFile(join(directory, path), 'utf8').catch((cause: unknown) => {
    throw new Error(`${path}: cannot be read`, { cause })
  })
  try {
    return JSON.parse(content)
  } catch (cause) {
    throw new Error(`${path}: is not JSON`, { cause })
  }
}

export async function readChecked<Schema extends z.ZodType> (directory: string, path: string, schema: Schema): Promise<z.infer<Schema>> {
  return check(path, schema, await readJson(directory, path))
}

export function check<Schema extends z.ZodType> (path: string, schema: Schema, content: unknown): z.infer<Schema> {
  const result = schema.safeParse(content)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new Error(`${path}: ${pointerOf((issue?.path ?? []).map(String))} ${issue?.message ?? 'is not valid'}`)
}
