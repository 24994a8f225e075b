/** Disks of a scenario's own: small ones that become full, and one whose power can be cut. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rename, rm, rmdir, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
/** The commands of an administrator are not on everybody's path. */
const env = { ...process.env, PATH: `${String(process.env['PATH'])}:/usr/sbin:/sbin` }
const run = async (command: string, args: readonly string[]): Promise<string> => (await execute(command, args, { env })).stdout

/** Uses a disk in memory of so many MiB, and removes it. */
export async function withSmallDisk<Result> (mebibytes: number, use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${String(mebibytes)}m`, 'assent-faults', folder])
    return await use(folder)
  } finally {
    await run('umount', ['-l', folder]).catch(() => {}) // It may never have been mounted.
    await rmdir(folder)
  }
}

/** Why there can be no small disk here; undefined when there can. */
export async function whyNoSmallDisk (): Promise<string | undefined> {
  return await withSmallDisk(1, async () => await Promise.resolve(undefined)).catch(() => 'this needs the right to mount')
}

/** Why there can be no disk whose power is cut; undefined when there can. */
export async function whyNoPowerDisk (): Promise<string | undefined> {
  return await withPowerDisk(16, async () => await Promise.resolve(undefined)).catch(() => 'this needs mkfs.ext4, a loop device, and the right to mount')
}

/** Fills a disk but for some bytes. Resolves with what makes room again. */
export async function fill (folder: string, leaveBytes: number): Promise<() => Promise<void>> {
  const file = join(folder, 'filler')
  const { bavail, bsize } = await statfs(folder)
  await writeFile(file, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes))).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error // Somebody else has taken the last of it.
  })
  return async () => { await rm(file) }
}

export interface PowerDisk {
  folder: string
  /** Puts back what was on the disk at this moment, without what its file system had only in memory. Whoever uses it must stand still, and be dead when `kill` resolves. */
  cutPower: (kill: () => Promise<void>) => Promise<void>
}

/** Uses a disk that is an image in a file: with ext4, as it comes. */
export async function withPowerDisk<Result> (mebibytes: number, use: (disk: PowerDisk) => Promise<Result>): Promise<Result> {
  const work = await mkdtemp(join(tmpdir(), 'assent-power-'))
  const [image, copy, folder] = ['image', 'copy', 'disk'].map(name => join(work, name)) as [string, string, string]
  await mkdir(folder)
  const mount = async (): Promise<void> => { await run('mount', ['-o', 'loop', image, folder]) }
  try {
    await run('truncate', ['-s', `${String(mebibytes)}M`, image])
    await run('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image])
    await mount()
    return await use({
      folder,
      async cutPower (kill) {
        await copyAtOnce(folder, image, copy)
        await kill()
        await run('umount', [folder])
        await rename(copy, image)
        await mount()
      }
    })
  } finally {
    await run('umount', ['-l', folder]).catch(() => {}) // It may never have been mounted.
    await rm(work, { recursive: true, force: true })
  }
}

/** Copies the image until nothing was written to it meanwhile: the kernel writes on while processes stand still. */
async function copyAtOnce (folder: string, image: string, copy: string): Promise<void> {
  const device = basename((await run('findmnt', ['-n', '-o', 'SOURCE', folder])).trim())
  const written = async (): Promise<string> => {
    const statistics = (await readFile(`/sys/block/${device}/stat`, 'utf8')).trim().split(/ +/)
    return [statistics[4], statistics[6], statistics[8]].join() // Writes, sectors written, requests under way.
  }
  for (let tries = 50; tries > 0; tries--) {
    const before = await written()
    await run('cp', ['--sparse=always', '--reflink=auto', image, copy])
    if (before === await written() && before.endsWith(',0')) return
  }
  throw new Error('the disk was never quiet for as long as a copy takes')
}
