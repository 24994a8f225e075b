/** Opens a server to its clients. */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How many connections may wait to be accepted, if the kernel lets as many: what comes back all at once after an outage. */
const backlog = 4096

/** `portName`: the variable that the port is from. Gives the URL. @throws an error that names the variable at fault */
export async function listen (app: FastifyInstance, host: string, portName: 'PORT' | 'METRICS_PORT', port: number): Promise<string> {
  try {
    await app.listen({ host, port, backlog, listenTextResolver: () => 'server.started' })
  } catch (cause) {
    throw new Error(explain((cause as NodeJS.ErrnoException).code, host, `${portName} ${String(port)}`), { cause })
  }
  const { port: opened } = app.server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${String(opened)}`
}

function explain (code: string | undefined, host: string, port: string): string {
  if (code === 'EADDRINUSE') return `${port} on ${host} is in use`
  if (code === 'EACCES') return `${port} needs rights that this process does not have`
  return `HOST ${host} is no address of this machine (${code ?? 'unknown'})`
}
