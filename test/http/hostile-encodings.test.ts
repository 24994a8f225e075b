import { once } from 'node:events'
import { constants, brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { makeEvent, heartbeat, type Answer } from '../support/api.ts'
import { makePostBody, requiredBatch } from '../support/bodies.ts'
import { isProblem } from '../support/problems.ts'
import { head, openRaw, readAnswers, sendRaw } from '../support/raw-http.ts'
import { eventually, startTestService } from '../support/service.ts'

const service = await startTestService(t)
const token = await service.token({ sub: 'ada', device_id: 'pc-1' })
const post = makePostBody(service, token)
const path = '/v1/events'
let stored = 0

const newBatch = (): Buffer => Buffer.from(JSON.stringify(requiredBatch()))
const isStored = async (t: Test, body: Uint8Array, headers: Record<string, string>, about: string): Promise<void> => {
  t.match(await post(body, headers), { status: 202, body: { accepted: 1, dropped: 0, rejected: 0 } }, about)
  stored++
}
const compressors = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync } as const
const MiB = 1_048_576

t.test('a body arrives plain or in any of three codings, whole and once', async t => {
  await isStored(t, newBatch(), {}, 'plain')
  await isStored(t, newBatch(), { 'content-encoding': 'identity' }, 'identity')
  for (const [encoding, compress] of Object.entries(compressors)) await isStored(t, compress(newBatch()), { 'content-encoding': encoding }, encoding)
  await isStored(t, gzipSync(newBatch()), { 'content-encoding': ' GZIP ' }, 'in capitals')
  const body = newBatch()
  await isStored(t, Buffer.concat([gzipSync(body.subarray(0, 50)), gzipSync(body.subarray(50))]), { 'content-encoding': 'gzip' }, 'two members of gzip, as RFC 1952 allows')
  for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'APPLICATION/JSON']) await isStored(t, newBatch(), { 'content-type': type }, type)
  await isStored(t, newBatch(), { accept: 'text/xml' }, 'whatever is wished for')
})

t.test('a coding that is none of the three is refused, with what is understood', async t => {
  for (const encoding of ['zzz', 'deflate', 'compress', 'x-gzip', 'gzip, gzip', 'gzip,br', 'identity, gzip', 'gzip;q=1', '*', ',']) {
    const answer = await post(encoding === 'deflate' ? deflateSync(newBatch()) : gzipSync(newBatch()), { 'content-encoding': encoding })
    isProblem(t, answer, 415, 'unsupported-media-type', path, encoding)
    t.equal(answer.headers.get('accept-encoding'), 'gzip, zstd, br')
  }
})

t.test('a type or a character set that is another is refused', async t => {
  const types = ['', 'text/plain', 'application/xml', 'application/problem+json', 'application/json;;;', 'application/jsonx', 'json', 'multipart/form-data; boundary=x', '*/*']
  const charsets = ['utf-16', 'UTF-16LE', 'iso-8859-1', 'utf-7', '"latin1"', 'utf-8; charset=utf-16']
  for (const type of [...types, ...charsets.map(charset => `application/json; charset=${charset}`)]) {
    isProblem(t, await post(newBatch(), { 'content-type': type }), 415, 'unsupported-media-type', path, type)
  }
})

t.test('bytes that are no UTF-8 are refused', async t => {
  const bytes: Record<string, number[]> = {
    'a stray byte': [0xff], 'an overlong slash': [0xc0, 0xaf], 'half a surrogate': [0xed, 0xa0, 0x80], 'a pair of CESU-8': [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
    'beyond Unicode': [0xf4, 0x90, 0x80, 0x80], 'cut off': [0xe2, 0x82]
  }
  for (const [about, wrong] of Object.entries(bytes)) {
    const [before, after] = JSON.stringify(requiredBatch({ device_id: 'HERE' })).split('HERE')
    isProblem(t, await post(Buffer.concat([Buffer.from(before!), Buffer.from(wrong), Buffer.from(after!)])), 400, 'invalid-json', path, about)
  }
  isProblem(t, await post(Buffer.from(`\ufeff${newBatch().toString()}`, 'utf16le')), 400, 'invalid-json', path, 'UTF-16')
})

t.test('a compressed body that is not exactly one whole stream is refused', async t => {
  for (const [encoding, compress] of Object.entries(compressors)) {
    const whole = compress(newBatch())
    const headers = { 'content-encoding': encoding }
    isProblem(t, await post(whole.subarray(0, -5), headers), 400, 'invalid-json', path, `${encoding}, cut off`)
    isProblem(t, await post(Buffer.concat([whole, Buffer.from('more')]), headers), 400, 'invalid-json', path, `${encoding}, followed by more`)
    isProblem(t, await post(newBatch(), headers), 400, 'invalid-json', path, `${encoding} that is none`)
    isProblem(t, await post(compress(Buffer.alloc(0)), headers), 400, 'invalid-json', path, `${encoding} of nothing`)
    isProblem(t, await post(compress(whole), headers), 400, 'invalid-json', path, `${encoding} twice`)
  }
  const badSum = gzipSync(newBatch())
  badSum[badSum.length - 6]! ^= 1
  isProblem(t, await post(badSum, { 'content-encoding': 'gzip' }), 400, 'invalid-json', path, 'a wrong checksum')
})

t.test('a bomb is given up as soon as it grows over the limits', async t => {
  const zeros = Buffer.alloc(64 * MiB)
  const bombs = {
    gzip: gzipSync(zeros),
    br: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
    zstd: zstdCompressSync(zeros)
  }
  for (const [encoding, bomb] of Object.entries(bombs)) isProblem(t, await post(bomb, { 'content-encoding': encoding }), 413, 'batch-too-large', path, encoding)
  const spaces = Buffer.concat([newBatch(), Buffer.alloc(MiB, ' ')])
  isProblem(t, await post(gzipSync(spaces), { 'content-encoding': 'gzip' }), 413, 'batch-too-large', path, 'one that stays under 8 MiB, but shrank more than a hundredfold')
})

t.test('a body over 1 MiB is refused, at its announcement or where it grows too long', async t => {
  const events = Array.from({ length: 900 }, () => makeEvent({ ...heartbeat, properties: { filler: 'x'.repeat(1200) } }))
  const large = JSON.stringify(requiredBatch({ events }))
  isProblem(t, await post(large), 413, 'batch-too-large', path)
  t.match(await post(gzipSync(large), { 'content-encoding': 'gzip' }), { status: 202, body: { accepted: 0, rejected: 900 } }, 'what is 1 MiB inflated only is not')
  const lines = [`POST ${path} HTTP/1.1`, 'Host: here', `Authorization: Bearer ${token}`, 'Content-Type: application/json']
  const [announced] = await sendRaw(service.service.url, head(...lines, 'Content-Length: 999999999'))
  isProblem(t, announced!, 413, 'batch-too-large', path, 'nothing of it was sent')
  const chunk = `${(65_536).toString(16)}\r\n${' '.repeat(65_536)}\r\n`
  const [grown] = await sendRaw(service.service.url, head(...lines, 'Transfer-Encoding: chunked') + chunk.repeat(17))
  isProblem(t, grown!, 413, 'batch-too-large', path, 'it never ended')
})

t.test('who sends too much may send the rest, so that the answer is not lost with the connection', async t => {
  const lines = [`POST ${path} HTTP/1.1`, 'Host: here', `Authorization: Bearer ${token}`, 'Content-Type: application/json']
  const next = head('GET /health/live HTTP/1.1', 'Host: here', 'Connection: close')
  const chunk = `${(65_536).toString(16)}\r\n${' '.repeat(65_536)}\r\n`
  for (const [begin, rest] of [[head(...lines, 'Content-Length: 2000000') + ' '.repeat(1000), ' '.repeat(1_999_000)], [head(...lines, 'Transfer-Encoding: chunked') + chunk.repeat(17), `${chunk.repeat(17)}0\r\n\r\n`]] as const) {
    const { socket, ended } = openRaw(service.service.url, begin)
    t.teardown(() => socket.destroy())
    await once(socket, 'data')
    socket.write(rest + next)
    t.same(readAnswers(await ended).map(({ status }) => status), [413, 200])
  }
})

t.test('what is no batch is short, so that many that never end fill no memory', async t => {
  const settings = await service.token({ sub: 'ada', scope: 'settings' })
  const patch = async (body: string): Promise<Answer> => await service.call('PATCH', '/v1/me/privacy', { token: settings, body, headers: { 'if-match': '"0"' } })
  isProblem(t, await patch(`{${' '.repeat(70_000)}}`), 413, 'batch-too-large', '/v1/me/privacy')
  isProblem(t, await patch(`{${' '.repeat(60_000)}}`), 401, 'verification-required', '/v1/me/privacy')
  const packed = async (bytes: number): Promise<Answer> => await service.call('PATCH', '/v1/me/privacy', { token: settings, body: brotliCompressSync(`{${' '.repeat(bytes)}}`), headers: { 'if-match': '"0"', 'content-encoding': 'br' } })
  isProblem(t, await packed(70_000), 413, 'batch-too-large', '/v1/me/privacy', 'however short it was made')
  isProblem(t, await packed(60_000), 401, 'verification-required', '/v1/me/privacy')
})

t.test('only what was answered with 202 is stored', async t => {
  await eventually('all are stored', async () => await service.count('events_v') >= stored)
  t.equal(await service.count('events_v'), stored)
})
