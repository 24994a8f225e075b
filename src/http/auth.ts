/** Who calls: the access token of a configured issuer, verified before anything else of a request is looked at. */
import { createHash } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { clockSkewMs, type AccountKind, type Caller, type Person, type Scope } from '../domain/caller.ts'
import { isAddress } from '../domain/verification.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { makeKnownTokens } from './known-tokens.ts'
import { deviceIdPattern } from './shapes.ts'
import { Problem } from './problem.ts'

/** An issuer as this layer needs it. */
export interface TokenIssuer {
  issuer: string
  audience: string
  algorithms: string[]
  namespace: string | undefined
  accountKind: AccountKind
  /** What its tokens may let their bearers do; undefined for everything. */
  scopes: readonly string[] | undefined
  publicKey: (header: { alg: string, kid?: string }) => Promise<string | undefined>
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null
  }
  interface FastifyInstance {
    /** Whether an account's name is that of an issuer whose accounts are an organisation's. */
    isOrganizationAccount: (accountId: string) => boolean
    /** Who calls, as far as a token says so; for what no route with a scope has answered. */
    whoCalls: (request: FastifyRequest) => Promise<Caller | undefined>
  }
}

const tokenBytesMax = 8192

const claimsShape = z.looseObject({
  sub: z.string().min(1).max(255).regex(/^[^\p{Cc}\p{Cs}]+$/u),
  exp: z.number(),
  iat: z.number().optional(),
  scope: z.string().default(''),
  device_id: z.string().regex(deviceIdPattern).optional(),
  org_id: z.string().min(1).max(255).optional(),
  account_kind: z.enum(['personal', 'organization']).optional(),
  region: z.string().max(64).optional(),
  // One that no letter can go to is as good as none, and no reason to turn the person away.
  email: z.unknown().optional().transform(email => typeof email === 'string' && isAddress(email) ? email : undefined),
  email_verified: z.boolean().optional(),
  locale: z.string().max(64).optional(),
  auth_time: z.number().optional(),
  sid: z.string().min(1).max(255).optional()
})

type Verify = (request: FastifyRequest) => Promise<unknown>

/** Registers @fastify/jwt once per issuer, each with its own pinned algorithms, and authenticates every route that states a scope. */
export async function registerAuth (app: FastifyInstance, issuers: readonly TokenIssuer[], now: () => number): Promise<void> {
  const verifiers = new Map<string, { issuer: TokenIssuer, verify: Verify }>()
  for (const [index, issuer] of issuers.entries()) {
    const namespace = `issuer${String(index)}`
    await app.register(fastifyJwt, {
      namespace,
      secret: async (_request: FastifyRequest, token: object) => {
        const key = await issuer.publicKey((token as { header: { alg: string, kid?: string } }).header)
        if (key === undefined) throw invalidToken()
        return key
      },
      decode: { complete: true },
      verify: {
        algorithms: issuer.algorithms as never,
        allowedIss: issuer.issuer,
        allowedAud: issuer.audience,
        requiredClaims: ['iss', 'aud', 'exp', 'sub']
      }
    })
    verifiers.set(issuer.issuer, {
      issuer,
      verify: async request => await (request as unknown as Record<string, () => Promise<unknown>>)[`${namespace}JwtVerify`]?.()
    })
  }
  app.decorateRequest('caller', null)
  // With one issuer its namespace is not in the names of accounts.
  const organizations = issuers.length > 1 ? issuers.filter(issuer => issuer.accountKind === 'organization') : []
  app.decorate('isOrganizationAccount', accountId => organizations.some(({ namespace }) => namespace !== undefined && accountId.startsWith(`${namespace}:`)))

  const known = makeKnownTokens(now)

  const authenticate = async (request: FastifyRequest): Promise<Caller> => {
    const token = bearerToken(request)
    const remembered = known.find(token)
    if (remembered !== undefined) return remembered
    const found = verifiers.get(issuerOf(token))
    if (found === undefined) throw invalidToken()
    let claims
    try {
      claims = claimsShape.parse(await found.verify(request))
    } catch (error) {
      if (error instanceof Unavailable) throw error
      throw invalidToken()
    }
    if (claims.iat !== undefined && claims.iat * 1000 > now() + clockSkewMs) throw invalidToken()
    const caller = callerOf(claims, found.issuer, issuers.length > 1, token)
    known.remember(token, caller, claims.exp * 1000)
    return caller
  }

  app.decorate('whoCalls', async request => await authenticate(request).catch(() => undefined))

  // Who may call is never left open: a route that does not say so stops the start.
  app.addHook('onRoute', ({ method, url, config }) => {
    if ((config?.scope === undefined) === (config?.public === undefined)) throw new Error(`${String(method)} ${url} must state a scope or that it is public`)
  })

  app.addHook('onRequest', async request => {
    const { scope } = request.routeOptions.config
    if (scope === undefined) return
    const caller = await authenticate(request).catch((error: unknown) => {
      app.refuseOverLimit(request)
      throw error
    })
    request.caller = caller
    const accepted = [scope].flat()
    if (!accepted.some(one => caller.scopes.has(one))) throw insufficientScope(accepted)
  })
}

/** The caller of a route that states a scope. */
export function callerOfRequest (request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('a route without a scope has no caller')
  return request.caller
}

/** The signed-in person of a route that states a scope. */
export function personOfRequest (request: FastifyRequest): Person {
  const caller = callerOfRequest(request)
  if (caller.accountId === undefined) throw new Problem('account-required')
  return { ...caller, accountId: caller.accountId }
}

function callerOf (claims: z.infer<typeof claimsShape>, issuer: TokenIssuer, several: boolean, token: string): Caller {
  const signedOut = claims.sub === 'anonymous' || claims.sub.startsWith('device:')
  if (claims.sub.startsWith('device:') && claims.sub !== `device:${claims.device_id ?? ''}`) throw invalidToken()
  const subject = several && issuer.namespace !== undefined ? `${issuer.namespace}:${claims.sub}` : claims.sub
  return {
    subject,
    accountId: signedOut ? undefined : subject,
    deviceId: claims.device_id,
    orgId: claims.org_id,
    accountKind: claims.account_kind ?? issuer.accountKind,
    region: claims.region,
    email: claims.email,
    emailVerified: claims.email_verified ?? false,
    language: claims.locale,
    authTime: claims.auth_time,
    session: claims.sid ?? createHash('sha256').update(token).digest('base64url'),
    scopes: new Set(claims.scope.split(' ').filter(scope => issuer.scopes?.includes(scope) ?? true))
  }
}

function bearerToken (request: FastifyRequest): string {
  // Of two Authorization headers Node keeps the first without a word; a proxy may have looked at the other.
  const [authorization = '', another] = request.raw.headersDistinct['authorization'] ?? []
  const match = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)
  if (another !== undefined || match?.[1] === undefined || match[1].length > tokenBytesMax) throw invalidToken()
  return match[1]
}

/** The issuer a token claims to be from: it only says whose keys to check it with. */
function issuerOf (token: string): string {
  try {
    const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as { iss?: unknown } | null
    return typeof payload?.iss === 'string' ? payload.iss : ''
  } catch {
    return ''
  }
}

function invalidToken (): Problem {
  return new Problem('invalid-token', { headers: { 'www-authenticate': 'Bearer error="invalid_token"' } })
}

export function insufficientScope (scopes: readonly Scope[]): Problem {
  return new Problem('insufficient-scope', { headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"` } })
}
