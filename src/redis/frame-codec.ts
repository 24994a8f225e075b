/** How lines travel in a job: zstd, then base64, since a job is JSON. A plain string moves at a fifth of the speed. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FrameCodec } from '../flows/ports.ts'

export const frameCodec: FrameCodec = {
  pack: lines => zstdCompressSync(lines.join('\n')).toString('base64'),
  unpack: body => zstdDecompressSync(Buffer.from(body, 'base64')).toString('utf8')
}
