import { randomBytes } from 'node:crypto'
import { constants, createZstdCompress, createZstdDecompress, zstdDecompressSync } from 'node:zlib'
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

t.test('when its engine fails, who asked is told, and the next is served by a new one', async t => {
  const engines = [createZstdDecompress(), createZstdCompress({ flush: constants.ZSTD_e_end })] // The first fails at what is no frame.
  const { compress, close } = makeCompressor(() => engines.shift()!)
  t.teardown(close)
  const [first] = await Promise.allSettled([compress('this is no frame')])
  t.equal(first.status, 'rejected')
  t.equal(zstdDecompressSync(await compress('a')).toString(), 'a')
})
