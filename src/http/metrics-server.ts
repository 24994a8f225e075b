/** Metrics on a port of their own, out of reach of those who reach the service. */
import { fastify, type FastifyInstance } from 'fastify'

export function makeMetricsServer (render: () => Promise<{ type: string, text: string }>): FastifyInstance {
  const server = fastify({ forceCloseConnections: true })
  server.get('/metrics', async (_request, reply) => {
    const { type, text } = await render()
    return await reply.header('content-type', type).send(text)
  })
  return server
}
