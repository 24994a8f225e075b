import { spawnSync } from 'node:child_process'
import { brotliCompressSync, constants, createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { inflate, type Encoding } from '../../src/http/inflate.ts'

const MiB = 1024 * 1024
const limits = { inflatedBytesMax: 8 * MiB, ratioMax: 100 }
const tooLarge = { ok: false, reason: 'too-large' }
const corrupt = { ok: false, reason: 'corrupt' }

const deflate: Record<Encoding, (plain: Buffer) => Buffer> = {
  gzip: gzipSync,
  br: plain => brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
  zstd: plain => zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
}
const encodings = Object.keys(deflate) as Encoding[]

/** Text that shrinks about as much as events do. */
function text (bytes: number, seed = 1) {
  let n = seed
  const lines = Array.from({ length: Math.ceil(bytes / 32) }, () => {
    n = n * 1103515245 + 12345 & 0x7fffffff
    return `{"id":"${n.toString(16).padStart(8, '0')}","name":"run"},`.padEnd(32, '\n')
  })
  return Buffer.from(lines.join('')).subarray(0, bytes)
}

for (const encoding of encodings) {
  t.test(`${encoding}: what was compressed comes back whole, small or large`, async t => {
    for (const bytes of [0, 1, 20_000, 65_535, 65_536, 65_537, 262_144, 300_000, 1_048_576, 3 * MiB + 1]) {
      const plain = text(bytes)
      const inflated = await inflate(deflate[encoding](plain), encoding, limits)
      t.ok(inflated.ok && inflated.body.equals(plain), `${bytes} bytes`)
    }
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async bytes => {
      const inflated = await inflate(deflate[encoding](Buffer.from(bytes)), encoding, limits)
      if (!inflated.ok || !inflated.body.equals(bytes)) throw new Error('not the same')
    }))
  })

  t.test(`${encoding}: the size limit is exact`, async t => {
    for (const bytes of [1000, 300_000]) {
      const body = deflate[encoding](text(bytes))
      const within = async (inflatedBytesMax: number) => await inflate(body, encoding, { inflatedBytesMax, ratioMax: 100 })
      t.match(await within(bytes), { ok: true })
      t.strictSame(await within(bytes - 1), tooLarge)
    }
  })

  t.test(`${encoding}: the ratio matters beyond 64 KiB only`, async t => {
    const within = async (bytes: number, ratioMax: number) => await inflate(deflate[encoding](Buffer.alloc(bytes)), encoding, { ...limits, ratioMax })
    t.match(await within(65_536, 100), { ok: true })
    t.strictSame(await within(200_000, 100), tooLarge)
    t.match(await within(200_000, 100_000), { ok: true })
  })

  t.test(`${encoding}: every part of a body is corrupt, and so is a body with anything after it`, async t => {
    const bodies = [deflate[encoding](text(500)), deflate[encoding](text(300_000))]
    t.ok(bodies[1]!.length > 16_384, 'one for the thread pool')
    for (const body of bodies) {
      for (let bytes = 0; bytes < body.length; bytes += body.length < 1000 ? 1 : 997) {
        const inflated = await inflate(body.subarray(0, bytes), encoding, limits)
        if (inflated.ok || inflated.reason !== 'corrupt') t.fail(`the first ${bytes} bytes`, inflated)
      }
      for (const more of ['\0', '\0\0\0\0\0\0', 'x', '\x1f', '\x1f\x8b', '{}', 'garbage that is longer than any header']) {
        t.strictSame(await inflate(Buffer.concat([body, Buffer.from(more, 'latin1')]), encoding, limits), corrupt, `${JSON.stringify(more)} after it`)
      }
    }
    t.strictSame(await inflate(Buffer.from('{"events":[]}'), encoding, limits), corrupt, 'not compressed at all')
  })

  t.test(`${encoding}: no bytes make it throw, hang or pass a limit`, async () => {
    const body = deflate[encoding](text(3000))
    const damaged = fc.array(fc.tuple(fc.nat(body.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }).map(changes => {
      const copy = Buffer.from(body)
      for (const [at, byte] of changes) copy[at] = byte
      return copy
    })
    await fc.assert(fc.asyncProperty(fc.oneof(damaged, fc.uint8Array().map(bytes => Buffer.from(bytes))), async bytes => {
      const inflated = await inflate(bytes, encoding, { inflatedBytesMax: 4000, ratioMax: 100 })
      if (inflated.ok && inflated.body.length > 4000) throw new Error('over the limit')
    }), { numRuns: 1000 })
  })
}

t.test('a wrong checksum is corrupt', async t => {
  for (const encoding of ['gzip', 'zstd'] as const) {
    for (const bytes of [500, 300_000]) {
      const body = deflate[encoding](text(bytes))
      const checksum = encoding === 'gzip' ? body.length - 8 : body.length - 4
      body[checksum]! ^= 1
      t.strictSame(await inflate(body, encoding, limits), corrupt, `${encoding} of ${bytes} bytes`)
    }
  }
})

t.test('gzip members are joined, under one limit; other codings have one stream', async t => {
  for (const sizes of [[10, 20], [65_536, 1], [65_536, 65_536, 65_536], [262_144, 300_000], [0, 5, 0]]) {
    const parts = sizes.map((bytes, i) => text(bytes, i + 1))
    const plain = Buffer.concat(parts)
    const body = Buffer.concat(parts.map(deflate.gzip))
    const inflated = await inflate(body, 'gzip', limits)
    t.ok(inflated.ok && inflated.body.equals(plain), sizes.join(' and '))
    t.strictSame(await inflate(body, 'gzip', { ...limits, inflatedBytesMax: plain.length - 1 }), tooLarge)
    t.strictSame(await inflate(body.subarray(0, -1), 'gzip', limits), corrupt)
  }
  for (const encoding of ['br', 'zstd'] as const) {
    const once = deflate[encoding](text(100))
    t.strictSame(await inflate(Buffer.concat([once, once]), encoding, limits), corrupt, encoding)
  }
})

t.test('a zstd frame may not ask for a window over 8 MiB', async t => {
  for (const [windowLog, expected] of [[23, { ok: true }], [24, tooLarge], [27, tooLarge]] as const) {
    const frame = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: windowLog } })
    const chunks: Buffer[] = []
    frame.on('data', (chunk: Buffer) => chunks.push(chunk))
    frame.write('{}')
    await new Promise<void>(resolve => { frame.flush(resolve) }) // Now the frame cannot say how short it will be.
    await new Promise(resolve => frame.once('end', resolve).end())
    t.match(await inflate(Buffer.concat(chunks), 'zstd', limits), expected, `2^${windowLog} bytes`)
  }
})

t.test('limits that make no sense are a bug, not the fault of a body', async t => {
  await t.rejects(inflate(gzipSync('{}'), 'gzip', { inflatedBytesMax: 0, ratioMax: 100 }), { code: 'ERR_OUT_OF_RANGE' })
})

// In a process of its own: the peak of this one is that of making the bombs.
const measured = `
  import { inflate } from ${JSON.stringify(new URL('../../src/http/inflate.ts', import.meta.url).href)}
  import { readFileSync } from 'node:fs'
  const [encoding, ratioMax] = process.argv.slice(1)
  const body = readFileSync(0)
  await inflate(body.subarray(0, 100), encoding, { inflatedBytesMax: 100, ratioMax: 100 })
  const ballast = Buffer.alloc(process.resourceUsage().maxRSS * 1024 - process.memoryUsage.rss(), 1) // Up to the peak of starting.
  const before = process.memoryUsage.rss()
  const inflated = await inflate(body, encoding, { inflatedBytesMax: ${limits.inflatedBytesMax}, ratioMax: Number(ratioMax) })
  const grownMiB = (process.resourceUsage().maxRSS * 1024 - before) / ${MiB}
  console.log(JSON.stringify({ reason: inflated.reason, ballast: ballast.length, grownMiB }))`

t.test('a bomb is refused before it fills memory', async t => {
  const zeros = Buffer.alloc(256 * MiB)
  const member = gzipSync(zeros.subarray(0, 64 * MiB))
  const bombs = {
    gzip: Buffer.concat(Array.from({ length: 16 }, () => member)),
    br: deflate.br(zeros),
    zstd: deflate.zstd(zeros)
  }
  for (const encoding of encodings) {
    for (const ratioMax of [100, Infinity]) {
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', measured, encoding, String(ratioMax)], { input: bombs[encoding] })
      t.equal(stderr.toString(), '')
      const { reason, grownMiB } = JSON.parse(stdout.toString()) as { reason: string, grownMiB: number }
      t.equal(reason, 'too-large')
      t.ok(grownMiB < limits.inflatedBytesMax / MiB + 64, `${encoding}, ${bombs[encoding].length} bytes, ratio ${ratioMax}: ${grownMiB.toFixed(1)} MiB`)
    }
  }
})
