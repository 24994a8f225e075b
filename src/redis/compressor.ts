/** zstd, by a compressor that stays: each that is made is held with its buffers until the next whole collection of garbage. */
import type { Duplex, DuplexOptions } from 'node:stream'
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

/** `open`: makes a compressor; called again after one has failed. */
export function makeCompressor (open: () => Duplex = () => createZstdCompress(options)): Compressor {
  let isClosed = false
  let stream: Duplex | undefined
  let last: Promise<unknown> = Promise.resolve()
  const makeFrame = async (text: string): Promise<Buffer> => {
    if (isClosed) throw new Error('the compressor is closed')
    const current = stream ??= open().on('error', () => {})
    try {
      return await writeAlone(current, text)
    } catch (error) {
      stream = undefined
      throw error
    }
  }
  return {
    async compress (text) {
      const frame = last.then(async () => await makeFrame(text))
      last = frame.catch(() => {})
      return await frame
    },
    close () {
      isClosed = true
      stream?.destroy()
    }
  }
}

/** What comes out for what goes in. A stream whose engine fails is closed, and never says that it is done. */
async function writeAlone (stream: Duplex, text: string): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const fail = (): void => { reject(stream.errored ?? new Error('nothing came of compressing')) }
    stream.once('close', fail)
    stream.write(text, error => {
      stream.off('close', fail)
      const frame = stream.read() as Buffer | null
      if (error == null && frame !== null) resolve(frame)
      else reject(error ?? new Error('nothing came of compressing'))
    })
  })
}
