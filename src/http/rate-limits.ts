/** How many requests a subject and an address may make. */
import { isIP } from 'node:net'
import { fastifyRateLimit, normalizeIP, type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../domain/caller.ts'
import { Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What no rate limit holds up: every request of this route, or one whose body, of whatever shape, says so. */
    unlimited?: true | ((body: unknown) => boolean)
  }
  interface FastifyRequest {
    /** The limit that was exceeded. */
    overLimit: OverLimit | null
  }
  interface FastifyInstance {
    /** Of a request that turned out to be nobody's: what no limit holds up is for those who may ask. @throws the `Problem` of a limit that it exceeds */
    refuseOverLimit: (request: FastifyRequest) => void
  }
}

interface OverLimit { by: 'subject' | 'address', refusal: Problem }

export interface RateLimitOptions {
  perSubjectMax: number
  perAddressMax: number
  windowMs: number
  /** Counts one request of a key; how many there were in this window, and when it ends (ms from now). */
  count: (key: string, max: number) => { current: number, ttl: number }
  onLimited: (by: 'subject' | 'address') => void
}

/** RateLimit header fields of the drafts that name three of them. */
export function rateHeaders ({ max, remaining, resetSeconds }: { max: number, remaining: number, resetSeconds: number }): Record<string, string> {
  return { 'ratelimit-limit': String(max), 'ratelimit-remaining': String(remaining), 'ratelimit-reset': String(resetSeconds) }
}

export interface RateLimits {
  /** Adds the limit of addresses: before a request's token is looked at. */
  limitAddresses: () => void
  /** Adds the limit of subjects: once the caller is known. */
  limitSubjects: () => void
}

/** Without options there are no limits. */
export async function registerRateLimits (app: FastifyInstance, options: RateLimitOptions | undefined): Promise<RateLimits> {
  if (options === undefined) {
    app.decorate('refuseOverLimit', () => {})
    return { limitAddresses: () => {}, limitSubjects: () => {} }
  }
  const { perSubjectMax, perAddressMax, windowMs, count, onLimited } = options
  await app.register(fastifyRateLimit, { global: false, timeWindow: windowMs, store: storeOf(count) })
  app.decorateRequest('overLimit', null)

  type Check = ReturnType<typeof app.createRateLimit>
  const limit = async (by: 'subject' | 'address', check: Check, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { unlimited, scope } = request.routeOptions.config
    if (request.overLimit !== null || (unlimited === true && (by === 'subject' || scope === undefined))) return
    const found = await check(request)
    if (found.isAllowed) return
    const headers = rateHeaders({ max: found.max, remaining: found.remaining, resetSeconds: found.ttlInSeconds })
    if (!found.isExceeded) {
      reply.headers(headers)
      return
    }
    request.overLimit = { by, refusal: new Problem('rate-limited', { retryAfterSeconds: found.ttlInSeconds, headers }) }
    if (unlimited === undefined) refuse(request.overLimit)
  }
  const refuse = ({ by, refusal }: OverLimit): never => {
    onLimited(by)
    throw refusal
  }

  app.decorate('refuseOverLimit', ({ overLimit }) => { if (overLimit !== null) refuse(overLimit) })

  return {
    limitAddresses () {
      const check = app.createRateLimit({ max: perAddressMax, keyGenerator: request => `address ${addressOf(request)}` })
      app.addHook('onRequest', async (request, reply) => { await limit('address', check, request, reply) })
    },
    limitSubjects () {
      const check = app.createRateLimit({ max: perSubjectMax, keyGenerator: request => subjectOf(request.caller) ?? '' })
      app.addHook('onRequest', async (request, reply) => {
        if (subjectOf(request.caller) !== undefined) await limit('subject', check, request, reply)
      })
      // Before the body is held against its shape, which may be much work.
      app.addHook('preValidation', async request => {
        const { unlimited } = request.routeOptions.config
        if (request.overLimit === null || unlimited === true || (typeof unlimited === 'function' && unlimited(request.body))) return
        refuse(request.overLimit)
      })
    }
  }
}

/** Some proxies tell a client's port too, another for each connection. What is no address at all counts for whoever tells it. */
function addressOf ({ ip, socket }: FastifyRequest): string {
  if (isIP(ip) !== 0) return normalizeIP(ip)
  const [, six, four] = /^(?:\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+)$/.exec(ip) ?? []
  const address = six ?? four ?? ''
  return normalizeIP(isIP(address) === 0 ? socket.remoteAddress ?? '' : address)
}

/** Who is counted as one: an account, or a device that nobody is signed in on. Of others only the address is known. */
export function subjectOf (caller: Caller | null): string | undefined {
  if (caller?.accountId !== undefined) return `account ${caller.accountId}`
  return caller?.deviceId === undefined ? undefined : `device ${caller.deviceId}`
}

/** The counts as the plugin asks for them. */
function storeOf (count: RateLimitOptions['count']): FastifyRateLimitStoreCtor {
  const store: FastifyRateLimitStore = {
    incr (key, callback, _windowMs, max) { callback(null, count(key, max)) },
    child: () => store
  }
  return function RateLimitStore () { return store } as unknown as FastifyRateLimitStoreCtor
}
