/** What every ratio is against: Fastify that parses the same body and answers 202, and does nothing else. */
import { fastify } from 'fastify'

const app = fastify({ bodyLimit: 1_048_576 })
app.post('/v1/events', async (request, reply) => {
  const { batch_id: batchId, events } = request.body as { batch_id: string, events: unknown[] }
  return await reply.code(202).send({ batch_id: batchId, accepted: events.length })
})
await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`bare listening on http://127.0.0.1:${String((app.server.address() as { port: number }).port)}\n`)
