/** Refuses a batch before its body is read, when the process or Redis has enough in hand. */
import type { FastifyInstance } from 'fastify'
import { findOverload, muchInHand, muchOfSubject, type Load, type LoadLimits, type Overload, type OverloadReason } from '../domain/load.ts'
import { makeHeldConnections } from './held-connections.ts'
import { Problem, sendProblem } from './problem.ts'
import { rateHeaders, subjectOf } from './rate-limits.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether this route is refused under overload. */
    sheds?: true
  }
  interface FastifyRequest {
    inHand: InHand | null
  }
  interface FastifyInstance {
    /** Counts what a request's body has become larger by. @throws the `Problem` that there is no room for it */
    holdMore: (request: FastifyRequest, bytes: number) => void
  }
}

/** What a request has of the load; `stays`: its body is refused, and its connection kept. */
interface InHand { subject: string, bytes: number, arrived: boolean, stays: boolean }

export interface IntakeGateOptions {
  /** Read at each request; what is in hand is counted here. */
  load: Load
  limits: LoadLimits
  onShed: (reason: OverloadReason) => void
}

/** As long as clients are told to wait for what passes, unless there is room before. Others may share a connection: a denial waits no longer. */
const holdMaxMs = 1000
const lookEveryMs = 50
/** Up to this multiple of what is taken of others. */
const overfullShare = 2

/** Its hooks run in one go: what a stream tells between two of them would be lost. */
export function registerIntakeGate (app: FastifyInstance, { load, limits, onShed }: IntakeGateOptions): void {
  app.decorateRequest('inHand', null)
  /** Bytes by subject. */
  const held = new Map<string, number>()
  const hold = (subject: string, bytes: number): number => {
    const now = (held.get(subject) ?? 0) + bytes
    if (now > 0) held.set(subject, now)
    else held.delete(subject)
    return now
  }

  /** Counts bytes of a request, and says whether there are too many now. `alone`: of one that has all there are. */
  const take = (inHand: InHand, bytes: number, { alone }: { alone: 'counts' | 'passes' }): Overload | undefined => {
    inHand.bytes += bytes
    load.bytesInHand += bytes
    const isMore = (held: number, max: number): boolean => held > max && (alone === 'counts' || held > inHand.bytes)
    if (isMore(hold(inHand.subject, bytes), limits.bytesOfSubjectMax)) return muchOfSubject
    return isMore(load.bytesInHand, limits.bytesInHandMax) ? muchInHand : undefined
  }

  app.decorate('holdMore', ({ inHand }, bytes) => {
    if (inHand === null) return
    // One that is alone has all there is: else the largest batch that may be sent could never be taken.
    const overload = take(inHand, bytes, { alone: 'passes' })
    if (overload === undefined) return
    onShed(overload.reason)
    const { slug, extras } = refusalOf(overload)
    throw new Problem(slug, extras)
  })

  const connections = makeHeldConnections(holdMaxMs, () => performance.now())
  const takesHeld = (overload: Overload | undefined): boolean => overload === undefined || overload.reason === 'batches-in-hand'
  /**
   * Lets in so many of those that are held, up to a higher mark than others: else who was just answered would always be
   * there before them. Who has been let in counts, whether or not its batch has come.
   */
  const letIn = (most: number): void => {
    if (takesHeld(findOverload(load, limits))) connections.letIn(Math.min(most, overfullShare * limits.batchesInHandMax - load.batchesInHand - connections.awaited()))
  }
  const looking = setInterval(() => {
    connections.letGoOverdue()
    // While batches are answered, each of them makes room for one.
    if (load.batchesInHand === 0) letIn(limits.batchesInHandMax)
  }, lookEveryMs)
  looking.unref()
  app.addHook('onClose', async () => { clearInterval(looking) })

  // Answered at once and without an error: under load a refusal must cost next to nothing.
  app.addHook('onRequest', (request, reply, done) => {
    const { raw: { socket }, routeOptions: { config: { sheds } } } = request
    const overload = sheds === true ? findOverload(load, limits) : undefined
    const isLetIn = sheds === true && connections.usePass(socket)
    if (overload === undefined || (isLetIn && takesHeld(overload))) {
      done()
      return
    }
    onShed(overload.reason)
    if (overload.passes) request.raw.once('end', () => { connections.hold(socket) })
    sendProblem(reply, refusalOf(overload))
  })

  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.routeOptions.config.sheds !== true) {
      done(null, payload)
      return
    }
    const inHand: InHand = { subject: subjectOf(request.caller) ?? request.ip, bytes: 0, arrived: false, stays: false }
    request.inHand = inHand
    payload.on('data', (chunk: Buffer) => {
      // Of a request that was refused for its head nobody reads the body, and nobody would hear of an error.
      if (request.inHand === null || payload.listenerCount('error') === 0) return
      const overload = take(inHand, chunk.length, { alone: 'counts' })
      if (overload === undefined) return
      // Bodies that were let in while there was room may be more than there is room for.
      onShed(overload.reason)
      inHand.stays = request.headers['content-length'] !== undefined && !reply.hasHeader('connection')
      const { slug, extras } = refusalOf(overload)
      payload.emit('error', new Problem(slug, extras))
    })
    payload.once('end', () => {
      if (request.inHand === null) return
      inHand.arrived = true
      load.batchesInHand++
    })
    done(null, payload)
  })

  // Every request is answered, also one whose client has gone: only then nothing works on it any more.
  app.addHook('onSend', (request, reply, _payload, done) => {
    const { inHand } = request
    if (inHand !== null) {
      request.inHand = null
      load.bytesInHand -= inHand.bytes
      if (inHand.bytes > 0) hold(inHand.subject, -inHand.bytes)
      if (inHand.arrived) {
        load.batchesInHand--
        letIn(1)
      }
      // A connection that is closed while its client still sends may lose the answer. What remains is read and dropped.
      if (inHand.stays) reply.removeHeader('connection')
    }
    done()
  })
}

function refusalOf ({ slowDown, retryAfterSeconds }: Overload): Pick<Problem, 'slug' | 'extras'> {
  return slowDown
    ? { slug: 'rate-limited', extras: { retryAfterSeconds, headers: rateHeaders({ max: 0, remaining: 0, resetSeconds: retryAfterSeconds }) } }
    : { slug: 'unavailable', extras: { retryAfterSeconds } }
}
