import t from 'tap'
import { eventually, startTestService } from '../support/service.ts'
import { startMailServer, type ReceivedLetter } from './mail-server.ts'
import { readAll } from './redis-text.ts'

const mail = await startMailServer(t)
// Codes of ten digits: none of them stands in a time or a hash by chance.
const service = await startTestService(t, { SMTP_URL: mail.url, MAIL_FROM: 'privacy@assent.example', EMAIL_CODE_DIGITS: '10' })

interface Asked { token: string, id: string, status: number }

/** Opens a challenge as somebody with this address; its code goes there. */
async function ask (email: string, locale?: string): Promise<Asked> {
  const token = await service.token({ sub: email.replace(/\W/g, '_'), email, ...(locale === undefined ? {} : { locale }) })
  const { status, body } = await service.call('POST', '/v1/verification/challenges', { token, body: { purpose: 'privacy.update' } })
  return { token, id: String(body['id']), status }
}

async function letterTo (address: string): Promise<ReceivedLetter> {
  const find = (): ReceivedLetter | undefined => mail.letters.find(({ recipients }) => recipients.includes(address))
  await eventually(`a letter reaches ${address}`, async () => find() !== undefined)
  return find()!
}

function codeIn (text: string): string {
  return /\b[0-9]{10}\b/.exec(text)?.[0] ?? ''
}

async function verify ({ token, id }: Asked, code: string): Promise<number> {
  return (await service.call('POST', `/v1/verification/challenges/${id}/verify`, { token, body: { method: 'email', code } })).status
}

const waiting = async (): Promise<number> => await service.redis.zcard('{assent}:mail:delayed')

t.test('the code comes in a letter of text and HTML, in English, and it is the right one', async t => {
  const asked = await ask('ada@example.com')
  t.equal(asked.status, 201)
  const letter = await letterTo('ada@example.com')
  const code = codeIn(letter.text)
  t.same({ ...letter, text: '', html: '' }, { from: 'privacy@assent.example', recipients: ['ada@example.com'], subject: 'Your verification code', text: '', html: '' })
  t.match(letter.text, new RegExp(`The code is:\n\n${code}\n\nIt is valid for 10 minutes`))
  t.match(letter.html, new RegExp(`^<!doctype html><html lang="en">.*>${code}</p>`))
  t.notMatch(letter.subject, /[0-9]/, 'no code stands in the subject')
  t.equal(await verify(asked, code), 200)
})

t.test('a token with a German locale brings a German letter', async t => {
  const asked = await ask('eva@example.at', 'de-AT')
  const letter = await letterTo('eva@example.at')
  const code = codeIn(letter.text)
  t.equal(letter.subject, 'Ihr Bestätigungscode')
  t.match(letter.text, new RegExp(`möchte Einstellungen Ihres Kontos ändern. Der Code lautet:\n\n${code}\n\nEr gilt 10 Minuten`))
  t.match(letter.html, new RegExp(`^<!doctype html><html lang="de">.*möchte.*>${code}</p>`))
  t.equal(await verify(asked, code), 200)
})

t.test('while the mail server is down the letter waits sealed, and it comes later', async t => {
  await mail.stop()
  const asked = await ask('bob@example.com')
  t.equal(asked.status, 201, 'the answer does not wait for it')
  await eventually('a delivery fails', async () => await waiting() === 1)
  t.match(service.logs.join(''), /"what":"mail-failed"/)
  const inRedis = await readAll(service.redis)
  t.match(inRedis, /"sealed/, 'the letter is in Redis')

  await mail.start()
  const letter = await letterTo('bob@example.com')
  const code = codeIn(letter.text)
  t.match(code, /^[0-9]{10}$/)
  t.notOk(inRedis.includes(code), 'but its code is not, in clear')
  t.equal(await verify(asked, code), 200)
  t.equal(mail.letters.filter(({ recipients }) => recipients.includes('bob@example.com')).length, 1, 'it comes once')
})

t.test('no code stands in clear in Redis or in a line of the log, and no address in the log', async t => {
  const inRedis = await readAll(service.redis)
  const inLogs = service.logs.join('')
  t.match(inRedis, /ada_example_com/, 'what is looked through is what the service keeps')
  t.match(inLogs, /mail-failed/, 'and what it logs')
  t.equal(mail.letters.length, 3)
  for (const { text, recipients } of mail.letters) {
    t.notOk(inRedis.includes(codeIn(text)), 'a code in Redis')
    t.notOk(inLogs.includes(codeIn(text)), 'a code in the log')
    t.notOk(inLogs.includes(recipients[0]!), 'an address in the log')
  }
})

t.test('an address that is more than one reaches nobody else', async t => {
  const before = mail.letters.length
  const addresses = [
    'carol@example.com\r\nRCPT TO:<mallory@example.com>', 'carol@example.com>\r\nRCPT TO:<mallory@example.com', 'carol@example.com\r\nBcc: mallory@example.com',
    'carol@example.com\nmallory@example.com', 'carol@example.com, mallory@example.com', 'carol@example.com;mallory@example.com',
    '<carol@example.com>,<mallory@example.com>', 'Group: carol@example.com, mallory@example.com;'
  ]
  let queued = 0
  for (const address of addresses) {
    const { status } = await ask(address)
    t.ok(status === 201 || status === 422, `${JSON.stringify(address)}: ${status}`)
    if (status === 201) queued++
  }
  await eventually('each was delivered or refused', async () => mail.letters.length - before + await waiting() === queued)
  for (const { recipients } of mail.letters.slice(before)) t.equal(recipients.length, 1)
  t.notOk(mail.letters.slice(before).some(({ recipients }) => recipients.includes('mallory@example.com')))
})
