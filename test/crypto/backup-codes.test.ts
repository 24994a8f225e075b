import { createHmac } from 'node:crypto'
import t from 'tap'
import { makeBackupCodes } from '../../src/crypto/backup-codes.ts'
import { isWellFormed, normaliseBackupCode } from '../../src/domain/verification.ts'

const pepperedBy = (key: string) => (text: string): string => createHmac('sha256', key).update(text).digest('hex')
const backupCodes = makeBackupCodes(pepperedBy('pepper'))
const { codes, hashes } = await backupCodes.make('ada')
const plain = codes.map(normaliseBackupCode)
const hashOf = (code: string): string => hashes[code.charAt(0)] ?? ''

t.test('ten codes in four groups, each in a slot of its own', t => {
  t.equal(codes.length, 10)
  for (const code of codes) t.match(code, /^(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)
  for (const code of plain) t.ok(isWellFormed('backup_code', code, 6))
  t.same(plain.map(code => code.charAt(0)).sort(), Object.keys(hashes).sort())
  t.equal(new Set(plain.map(code => code.slice(1))).size, 10)
  t.end()
})

t.test('each code matches its own hash and no other', async t => {
  for (const code of plain.slice(0, 3)) t.ok(await backupCodes.matches('ada', code, hashOf(code)))
  t.notOk(await backupCodes.matches('ada', plain[0]!, hashOf(plain[1]!)))
})

t.test('one symbol off is wrong', async t => {
  const [code] = plain
  for (const at of [1, 8, 15]) {
    const wrong = code!.slice(0, at) + (code!.charAt(at) === '7' ? '8' : '7') + code!.slice(at + 1)
    t.notOk(await backupCodes.matches('ada', wrong, hashOf(code!)), `at ${String(at)}`)
  }
})

t.test('a hash is of no use under another account or another pepper', async t => {
  const [code] = plain
  t.notOk(await backupCodes.matches('bob', code!, hashOf(code!)))
  t.notOk(await makeBackupCodes(pepperedBy('another')).matches('ada', code!, hashOf(code!)))
})

t.test('a hash that was damaged matches nothing, and throws nothing', async t => {
  const [code] = plain
  const [salt, hash] = hashOf(code!).split('.')
  for (const damaged of ['', '.', salt!, `${salt!}.`, `.${hash!}`, `${salt!}.${hash!.slice(4)}`, `${hash!}.${salt!}`, '***.***']) {
    t.notOk(await backupCodes.matches('ada', code!, damaged), JSON.stringify(damaged))
  }
})

t.test('no hash shows its code, and no salt comes twice', async t => {
  const again = (await backupCodes.make('ada')).hashes
  const salts = [...Object.values(hashes), ...Object.values(again)].map(hash => hash.split('.')[0])
  t.equal(new Set(salts).size, 20)
  for (const code of plain) t.notOk(JSON.stringify(hashes).includes(code.slice(1)))
})

t.test('a code is read as people copy it', t => {
  const [code] = codes
  for (const typed of [code!.toLowerCase(), code!.replaceAll('-', ' '), ` ${code!} `, code!.replaceAll('-', '–'), code!.replaceAll('0', 'O').replaceAll('1', 'l'), code!.replaceAll('1', 'I').replaceAll('0', 'o')]) {
    t.equal(normaliseBackupCode(typed), plain[0], typed)
  }
  t.end()
})

t.test('many at once are each answered rightly', async t => {
  const right = plain.map(async code => await backupCodes.matches('ada', code, hashOf(code)))
  const wrong = plain.map(async code => await backupCodes.matches('eve', code, hashOf(code)))
  t.same(await Promise.all(right), Array<boolean>(10).fill(true))
  t.same(await Promise.all(wrong), Array<boolean>(10).fill(false))
})
