/** How many requests of one connection may wait for their answers. */
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { Problem } from './problem.ts'

/** Far more than any client sends ahead. */
const waitingMax = 32

/** Answers go out one after another: who sends on and reads nothing would have every one of them kept. */
export function registerWaitingRequests (app: FastifyInstance): void {
  const waiting = new WeakMap<Socket, number>()
  app.addHook('onRequest', (request, _reply, done) => {
    const { socket } = request.raw
    const now = (waiting.get(socket) ?? 0) + 1
    waiting.set(socket, now)
    done(now > waitingMax ? new Problem('rate-limited', { headers: { connection: 'close' } }) : undefined)
  })
  app.addHook('onResponse', (request, _reply, done) => {
    const { socket } = request.raw
    waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
    done()
  })
}
