/** Answers that are made while they are sent. One that fails in the middle breaks the connection, so that no part looks whole. */
import { addAbortSignal, Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/**
 * Resolves once the first piece is there, so that what fails at once is answered like every other failure. The source is
 * asked for more only as fast as the client takes it, and for nothing more once the client is gone.
 */
export type OpenDownload = (pieces: AsyncIterable<Uint8Array | string>) => Promise<Readable>

/** Downloads that end, broken, when the service does. */
export function makeDownloads (app: FastifyInstance): OpenDownload {
  const stopping = new AbortController()
  app.addHook('preClose', async () => { stopping.abort() })
  return async pieces => {
    const source = pieces[Symbol.asyncIterator]()
    const first = await source.next()
    async function * all (): AsyncGenerator<Uint8Array | string> {
      try {
        if (first.done === true) return
        yield first.value
        yield * { [Symbol.asyncIterator]: () => source }
      } finally {
        await source.return?.()
      }
    }
    return addAbortSignal(stopping.signal, Readable.from(all(), { objectMode: false }))
  }
}
