import { randomBytes } from 'node:crypto'
import { zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { makeCompressor } from '../../src/redis/compressor.ts'

t.test('each text becomes a frame of its own, whatever its size and however many are asked for at once', async t => {
  const { compress, close } = makeCompressor()
  t.teardown(close)
  const texts = ['a', 'é\u{1f600}'.repeat(100), randomBytes(3_000_000).toString('base64'), 'b'.repeat(200_000), 'the rest']
  const frames = await Promise.all(texts.map(compress))
  t.same(frames.map(frame => zstdDecompressSync(frame).toString()), texts)
  t.ok(frames[3]!.length < 1000, `${String(frames[3]!.length)} bytes`)
})

t.test('once it is closed it makes no frame, and says so', async t => {
  const { compress, close } = makeCompressor()
  await compress('a')
  close()
  await t.rejects(compress('b'))
})
