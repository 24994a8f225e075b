/** What every ratio is against: Fastify that parses the same body and answers 202, and does nothing else; below /jwt it verifies a token first. */
import fastifyJwt from '@fastify/jwt'
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'

const app = fastify({ bodyLimit: 1_048_576 })
await app.register(fastifyJwt, { secret: 'known to everybody', sign: { expiresIn: '1h' }, verify: { cache: true } })
const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
  const { batch_id: batchId, events } = request.body as { batch_id: string, events: unknown[] }
  return await reply.code(202).send({ batch_id: batchId, accepted: events.length })
}
app.post('/v1/events', answer)
app.post('/jwt/v1/events', { onRequest: async request => { await request.jwtVerify() } }, answer)
app.get('/token', async () => app.jwt.sign({ sub: 'bench', scope: 'telemetry:write' }))
await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`bare listening on http://127.0.0.1:${String((app.server.address() as { port: number }).port)}\n`)
