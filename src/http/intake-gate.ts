/** Refuses a batch before its body is read, when the process or Redis has enough in hand. */
import type { FastifyInstance } from 'fastify'
import { findOverload, muchInHand, type Load, type LoadLimits, type Overload, type OverloadReason } from '../domain/load.ts'
import { Problem } from './problem.ts'
import { rateHeaders } from './rate-limits.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether this route is refused under overload. */
    sheds?: true
  }
}

export interface IntakeGateOptions {
  /** Read at each request; what is in hand is counted here. */
  load: Load
  limits: LoadLimits
  onShed: (reason: OverloadReason) => void
}

/** Its hooks run in one go: what a stream tells between two of them would be lost. */
export function registerIntakeGate (app: FastifyInstance, { load, limits, onShed }: IntakeGateOptions): void {
  const refuse = (overload: Overload): Problem => {
    onShed(overload.reason)
    return refusalOf(overload)
  }

  app.addHook('onRequest', (request, _reply, done) => {
    const overload = request.routeOptions.config.sheds === true ? findOverload(load, limits) : undefined
    done(overload === undefined ? undefined : refuse(overload))
  })

  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.routeOptions.config.sheds !== true) {
      done(null, payload)
      return
    }
    let bytes = 0
    let arrived = false
    let counts = true
    payload.on('data', (chunk: Buffer) => {
      if (!counts) return
      bytes += chunk.length
      load.bytesInHand += chunk.length
      if (load.bytesInHand <= limits.bytesInHandMax) return
      // Bodies that were let in while there was room may be more than there is room for.
      counts = false
      payload.emit('error', refuse(muchInHand))
    })
    payload.once('end', () => {
      if (!counts) return
      arrived = true
      load.batchesInHand++
    })
    reply.raw.once('close', () => {
      counts = false
      load.bytesInHand -= bytes
      if (arrived) load.batchesInHand--
    })
    done(null, payload)
  })
}

function refusalOf ({ slowDown, retryAfterSeconds }: Overload): Problem {
  return slowDown
    ? new Problem('rate-limited', { retryAfterSeconds, headers: rateHeaders({ max: 0, remaining: 0, resetSeconds: retryAfterSeconds }) })
    : new Problem('unavailable', { retryAfterSeconds })
}
