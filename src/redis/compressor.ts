/** zstd, by a compressor that stays: each that is made is held with its buffers until the next whole collection of garbage. */
import type { DuplexOptions } from 'node:stream'
import { constants, createZstdCompress, type ZstdOptions } from 'node:zlib'

export interface Compressor {
  /** One frame. Frames are made one after the other, off the event loop. */
  compress: (text: string) => Promise<Buffer>
  close: () => void
}

const options: ZstdOptions & DuplexOptions = {
  params: { [constants.ZSTD_c_compressionLevel]: 1 }, // A higher level gains little on what is mostly random ids.
  flush: constants.ZSTD_e_end, // Each write is a frame.
  readableHighWaterMark: Number.MAX_SAFE_INTEGER
}

export function makeCompressor (): Compressor {
  const stream = createZstdCompress(options)
  stream.on('error', () => {}) // Whose frame fails is told, and so is everybody after.
  let last: Promise<unknown> = Promise.resolve()
  const makeFrame = async (text: string): Promise<Buffer> => await new Promise((resolve, reject) => {
    stream.write(text, error => {
      const frame = stream.read() as Buffer | null
      if (error == null && frame !== null) resolve(frame)
      else reject(error ?? new Error('nothing came of compressing'))
    })
  })
  return {
    async compress (text) {
      const frame = last.then(async () => await makeFrame(text))
      last = frame.catch(() => {})
      return await frame
    },
    close: () => { stream.destroy() }
  }
}
