import { fastify, type FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { registerErrors } from '../../src/http/errors.ts'

t.test('what goes wrong here is logged with where, and without what was said of it', async t => {
  const lines: string[] = []
  const logger: FastifyBaseLogger = pino({}, { write: (line: string) => { lines.push(line) } })
  const app = fastify({ loggerInstance: logger })
  registerErrors(app)
  const payload = 'first "line"\nada@example.com\n    at home: LIC-7Q4M\n    at once (secret)'
  app.get('/broken', async () => { throw new Error(`cannot read ${payload}`) })
  const answer = await app.inject('/broken')
  t.match(answer.json(), { status: 500, type: '/problems/internal-error' })
  t.notMatch(answer.body, /cannot read|line|example/)
  const failed = lines.find(line => line.includes('request.failed')) ?? ''
  for (const part of ['cannot read', 'line', 'ada@', 'LIC-', 'home', 'once', 'secret']) t.notOk(failed.includes(part), part)
  t.match(JSON.parse(failed), { kind: 'Error', stack: [/errors\.test\.ts:\d+/] }, 'where it was is told')
})
