/** How lines travel in a job: zstd, then base64, since a job is JSON. A long plain string moves at a fifth of the speed. */
import { constants, createZstdCompress, zstdDecompressSync } from 'node:zlib'
import type { FrameCodec } from '../flows/ports.ts'

/** Fewer characters than this travel faster as they are. */
const packFrom = 1500
/** Each write is a frame of its own. Level 1: rows of one batch are so alike that a higher level gains nothing. */
const fastest = { flush: constants.ZSTD_e_end, chunkSize: 16 * 1024, params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** A compressor has one text at a time in hand, and about a megabyte. */
const compressorsMax = 4

/** What is packed starts with the magic number of zstd, in base64; lines start with a bracket. */
export function makeFrameCodec (): FrameCodec {
  const compressors: Array<(text: string) => Promise<Buffer>> = []
  let next = 0
  return {
    async pack (lines) {
      if (lines.length < packFrom) return lines
      const compress = compressors[next] ??= makeCompressor()
      next = (next + 1) % compressorsMax
      return (await compress(lines)).toString('base64')
    },
    unpack: body => body.startsWith('[') ? body : zstdDecompressSync(Buffer.from(body, 'base64')).toString('utf8')
  }
}

/**
 * Compresses one text after the other, each to a frame of its own, off the event loop. The one stream keeps its memory:
 * a compressor made anew for each text costs as much as the work itself, and leaves its megabyte to the collector of garbage.
 */
function makeCompressor (): (text: string) => Promise<Buffer> {
  let chunks: Buffer[] = []
  const stream = createZstdCompress(fastest)
  stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  const failed = new Promise<never>((_resolve, reject) => stream.once('error', reject))
  failed.catch(() => {})
  let turn: Promise<unknown> = Promise.resolve()
  return async text => {
    const packed = turn.then(async () => {
      chunks = []
      const written = new Promise<void>(resolve => { stream.write(text, () => { resolve() }) })
      await Promise.race([written, failed])
      return Buffer.concat(chunks)
    })
    turn = packed.catch(() => {})
    return await packed
  }
}
