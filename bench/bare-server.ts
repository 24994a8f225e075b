/**
 * What every ratio is against: Fastify that parses the same body and answers 202, and does nothing else. Below /jwt it
 * verifies a token first, of the kind that the service takes; below /cached-jwt it remembers the tokens it has verified.
 * Below /durable it also gives the events to a Redis that syncs before it answers, and asks nobody whether it may.
 */
import { generateKeyPairSync } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'

const keys = generateKeyPairSync('ed25519', { publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })
const secret = { private: keys.privateKey, public: keys.publicKey }
const app = fastify({ bodyLimit: 1_048_576 })
const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
  const { batch_id: batchId, events } = request.body as { batch_id: string, events: unknown[] }
  return await reply.code(202).send({ batch_id: batchId, accepted: events.length })
}
app.post('/v1/events', answer)
const redis = new Redis(process.env['REDIS_SOCKET'] ?? '')
app.post('/durable/v1/events', async (request, reply) => {
  const { batch_id: batchId, events } = request.body as { batch_id: string, events: unknown[] }
  await redis.set('bench', JSON.stringify(events)) // The file has all of them, the memory the last.
  return await reply.code(202).send({ batch_id: batchId, accepted: events.length })
})
for (const [path, cache] of [['/jwt', false], ['/cached-jwt', true]] as const) {
  await app.register(async routes => {
    await routes.register(fastifyJwt, { secret, sign: { algorithm: 'EdDSA', expiresIn: '1h' }, verify: { algorithms: ['EdDSA'], cache } })
    routes.addHook('onRequest', async request => { await request.jwtVerify() })
    routes.post('/v1/events', answer)
    if (cache) app.get('/token', async () => routes.jwt.sign({ sub: 'bench', scope: 'telemetry:write' }))
  }, { prefix: path })
}
await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`bare listening on http://127.0.0.1:${String((app.server.address() as { port: number }).port)}\n`)
