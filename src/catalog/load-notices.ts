/** Reads the published versions of the privacy notice: `notices.json` and a text per version beside it. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Notice } from '../domain/notice.ts'
import { readChecked, refuseRepeats } from './read-file.ts'

const listName = 'notices.json'
const version = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)

const noticesFile = z.strictObject({
  notices: z.array(z.strictObject({
    version,
    effective_from: z.iso.datetime({ offset: true }),
    material: z.boolean(),
    title: z.string().min(1),
    purposes: z.array(z.string()).min(1).optional(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/)
  }))
})

/**
 * No list means no notices. A text must have the digest that the list gives, so that what people agreed to cannot change.
 * @throws an error whose message names the file and what is wrong with it
 */
export async function loadNotices (directory: string, purposeIds: readonly string[]): Promise<Notice[]> {
  if (!existsSync(join(directory, listName))) return []
  const { notices } = await readChecked(directory, listName, noticesFile)
  refuseRepeats(listName, notices.map(notice => notice.version))
  const read = await Promise.all(notices.map(async (notice): Promise<Notice> => {
    const unknown = notice.purposes?.find(purpose => !purposeIds.includes(purpose))
    if (unknown !== undefined) throw new Error(`${listName}: ${notice.version} names ${unknown}, which is no purpose of purposes.json`)
    const path = `notices/${notice.version}.md`
    const text = await readFile(join(directory, path), 'utf8').catch((cause: unknown) => { throw new Error(`${path}: cannot be read`, { cause }) })
    const digest = createHash('sha256').update(text).digest('hex')
    if (digest !== notice.sha256) throw new Error(`${path}: its text is not the one that ${listName} gives the sha256 of; publish a changed text as a new version`)
    return { version: notice.version, effectiveFrom: Date.parse(notice.effective_from), material: notice.material, purposes: notice.purposes ?? null, title: notice.title, text, digest }
  }))
  const late = read.findIndex((notice, index) => notice.effectiveFrom <= (read[index - 1]?.effectiveFrom ?? -Infinity))
  if (late !== -1) throw new Error(`${listName}: ${read[late]?.version ?? ''} must take effect after the one before it`)
  return read
}
