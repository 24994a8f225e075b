import { promisify } from 'node:util'
import {
  brotliDecompress, brotliDecompressSync, constants, gunzip, gunzipSync, zstdDecompress, zstdDecompressSync
} from 'node:zlib'

export type Encoding = 'gzip' | 'zstd' | 'br'

export interface InflateLimits { inflatedBytesMax: number, ratioMax: number }

export type Inflated = { ok: true, body: Buffer } | { ok: false, reason: 'too-large' | 'corrupt' }

const RATIO_FREE_BYTES = 64 * 1024 // A short batch of like events may honestly shrink more than the ratio allows.

// Handing a body to the thread pool costs the event loop about 60 µs, as much as inflating 5 kB of gzip in place. From
// here on the pool wins, and a bomb of this size is given up after a few milliseconds at most.
const SYNC_BYTES_MAX = 16 * 1024

interface WithInfo { buffer: Buffer, engine: { bytesWritten: number } }

const zstdParams = { params: { [constants.ZSTD_d_windowLogMax]: 23 } } // 8 MiB, all that HTTP allows (RFC 9659).

const codecs = {
  gzip: { sync: gunzipSync, async: promisify(gunzip), params: {} },
  br: { sync: brotliDecompressSync, async: promisify(brotliDecompress), params: {} },
  zstd: { sync: zstdDecompressSync, async: promisify(zstdDecompress), params: zstdParams }
}

/**
 * Inflates a request body of one content coding, and stops as soon as it grows over a limit.
 *
 * `too-large` is more than `inflatedBytesMax` bytes, or more than `ratioMax` times the compressed bytes; the ratio does
 * not matter up to 64 KiB. A zstd frame with a window over 8 MiB is `too-large` as well, as it asks for that memory.
 * `corrupt` is everything that is not exactly one complete stream: nothing, a part, a wrong checksum, a byte too many.
 * Only gzip bodies may have several members (RFC 1952 section 2.2); they are joined, the limits hold for the sum.
 * Throws only what is no fault of the body, such as memory that cannot be had.
 */
export async function inflate (body: Uint8Array, encoding: Encoding, limits: InflateLimits): Promise<Inflated> {
  const { sync, async, params } = codecs[encoding]
  const small = body.length <= SYNC_BYTES_MAX
  const options = {
    ...params,
    info: true,
    chunkSize: small ? 64 * 1024 : 256 * 1024, // Each chunk is a round trip to the pool; the default is 16 KiB.
    maxOutputLength: Math.min(limits.inflatedBytesMax, Math.max(RATIO_FREE_BYTES, Math.floor(body.length * limits.ratioMax)))
  }
  try {
    const { buffer, engine } = (small ? sync(body, options) : await async(body, options)) as unknown as WithInfo
    // The decoders stop at the end of the stream (gzip at a zero byte after it) and are silent about what follows.
    return engine.bytesWritten === body.length ? { ok: true, body: buffer } : { ok: false, reason: 'corrupt' }
  } catch (error) {
    return { ok: false, reason: reasonOf(error as NodeJS.ErrnoException) }
  }
}

function reasonOf (error: NodeJS.ErrnoException) {
  if (error.code === 'ERR_BUFFER_TOO_LARGE' || error.code === 'ZSTD_error_frameParameter_windowTooLarge') return 'too-large'
  if (typeof error.errno === 'number' && !/mem|alloc/i.test(error.code ?? '')) return 'corrupt' // From a decoder.
  throw error
}
