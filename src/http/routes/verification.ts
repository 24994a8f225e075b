/** Where people prove who they are before a change. */
import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Caller, Person } from '../../domain/caller.ts'
import { isAddress, tokenLifetimeSeconds, verificationPurposes } from '../../domain/verification.ts'
import type { Asker, ShownChallenge, VerifyPerson } from '../../flows/verify-person.ts'
import { callerOfRequest, insufficientScope } from '../auth.ts'
import { Problem, secondsOf } from '../problem.ts'
import { showTime, shownTime } from '../shapes.ts'

export interface VerificationRouteOptions {
  verifyPerson: VerifyPerson
  publicKeys: { keys: Array<Record<string, unknown>> }
  resendSeconds: number
}

const challengeShape = z.object({
  id: z.string(),
  purpose: z.string(),
  methods: z.array(z.object({ type: z.enum(['totp', 'email', 'backup_code']), hint: z.string().optional(), sent: z.boolean().optional(), remaining: z.int().optional() })),
  expires_at: shownTime,
  attempts_remaining: z.int()
})
/** The name of somebody's account: a device or nobody has none. */
const accountIdShape = z.string().min(1).max(255).regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must hold no control characters')
  .refine(id => id !== 'anonymous' && !id.startsWith('device:'), 'must be an account')
const byId = z.strictObject({ id: z.string().min(1).max(128) })
/** A person verifies themselves; at a sign-in the vendor's identity service asks for them. */
const config = { scope: ['settings', 'verification:delegate'], unavailable: 'verification-unavailable' } as const
const ofEndedChallenges = ['not-found', 'challenge-verified', 'challenge-expired', 'challenge-exhausted'] as const
const tags = ['verification']

export function verificationRoutes ({ verifyPerson, publicKeys, resendSeconds }: VerificationRouteOptions): FastifyPluginAsyncZod {
  return async app => {
    app.post('/v1/verification/challenges', {
      config: {
        ...config,
        problems: [
          'account-required', 'managed-by-organization', 'two-step-off', 'two-step-already-on', 'email-unknown', 'too-many-challenges', 'resend-too-soon', 'email-quota'
        ]
      },
      schema: {
        summary: 'Open a challenge for one change',
        tags,
        body: z.strictObject({
          purpose: z.enum(verificationPurposes),
          change: z.looseObject({}).optional(),
          account_id: accountIdShape.optional(),
          email: z.string().max(320).refine(isAddress, 'must be one e-mail address').optional()
        }),
        response: { 201: challengeShape }
      }
    }, async (request, reply) => {
      const { person, delegate } = personToVerify(callerOfRequest(request), request.body, app.isOrganizationAccount)
      const outcome = await verifyPerson.open(person, request.body.purpose, request.body.change, delegate)
      if (outcome.opened) return await reply.code(201).send(show(outcome.challenge))
      throw new Problem(outcome.reason, 'retryAfterMs' in outcome ? { retryAfterSeconds: secondsOf(outcome.retryAfterMs) } : {})
    })

    app.get('/v1/verification/challenges/:id', {
      config: { ...config, problems: ['not-found', 'challenge-expired'] },
      schema: { summary: 'How a challenge stands', tags, params: byId, response: { 200: challengeShape } }
    }, async request => {
      const challenge = await verifyPerson.find(askerOf(request), request.params.id)
      if (challenge === undefined) throw new Problem('not-found')
      if (challenge === 'expired') throw new Problem('challenge-expired')
      return show(challenge)
    })

    app.delete('/v1/verification/challenges/:id', {
      config: { ...config, problems: ['not-found'] },
      schema: { summary: 'Give a challenge up', tags, params: byId, response: { 204: z.null() } }
    }, async (request, reply) => {
      if (!await verifyPerson.cancel(askerOf(request), request.params.id)) throw new Problem('not-found')
      return await reply.code(204).send(null)
    })

    app.post('/v1/verification/challenges/:id/email', {
      config: {
        ...config,
        problems: [...ofEndedChallenges, 'verification-locked', 'resend-too-soon', 'email-quota', 'method-not-accepted', 'method-too-weak']
      },
      schema: {
        summary: 'Send a code by e-mail',
        tags,
        params: byId,
        response: { 202: z.object({ hint: z.string(), expires_at: shownTime, resend_after: shownTime }) }
      }
    }, async (request, reply) => {
      const outcome = await verifyPerson.sendEmail(askerOf(request), request.params.id)
      if (!outcome.sent) throw refusal(outcome)
      return await reply.code(202).send({
        hint: outcome.hint, expires_at: showTime(outcome.expiresAt), resend_after: showTime(outcome.sentAt + resendSeconds * 1000)
      })
    })

    app.post('/v1/verification/challenges/:id/verify', {
      config: {
        ...config,
        problems: [...ofEndedChallenges, 'verification-locked', 'authenticator-suspended', 'method-not-accepted', 'method-too-weak', 'invalid-code']
      },
      schema: {
        summary: 'Verify with a code',
        tags,
        params: byId,
        body: z.strictObject({ method: z.enum(['totp', 'email', 'backup_code']), code: z.string().min(1).max(100) }),
        response: { 200: z.object({ verification_token: z.string(), expires_in: z.int(), purpose: z.string(), acr: z.string(), amr: z.array(z.string()), backup_codes: z.object({ remaining: z.int(), low: z.boolean() }).optional() }) }
      }
    }, async request => {
      const outcome = await verifyPerson.verify(askerOf(request), request.params.id, request.body.method, request.body.code)
      if (!outcome.verified) throw refusal(outcome)
      const { token, purpose, acr, amr, backupCodes } = outcome
      return { verification_token: token, expires_in: tokenLifetimeSeconds, purpose, acr, amr: [...amr], ...(backupCodes === undefined ? {} : { backup_codes: backupCodes }) }
    })

    app.get('/.well-known/jwks.json', {
      config: { public: true },
      schema: { summary: 'The keys that verification tokens are signed with', tags: ['verification'], response: { 200: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) } }
    }, async () => publicKeys)
  }
}

interface Refusal { reason: string, retryAfterMs?: number, attemptsRemaining?: number }

function refusal ({ reason, retryAfterMs, attemptsRemaining }: Refusal): Problem {
  switch (reason) {
    case 'unknown': return new Problem('not-found')
    case 'verified': return new Problem('challenge-verified')
    case 'expired': return new Problem('challenge-expired')
    case 'exhausted': return new Problem('challenge-exhausted')
    case 'locked': return new Problem('verification-locked', { retryAfterSeconds: secondsOf(retryAfterMs ?? 0) })
    case 'resend-too-soon': return new Problem('resend-too-soon', { retryAfterSeconds: secondsOf(retryAfterMs ?? 0) })
    case 'email-quota': return new Problem('email-quota', { retryAfterSeconds: secondsOf(retryAfterMs ?? 0) })
    case 'suspended': return new Problem('authenticator-suspended')
    case 'method-too-weak': return new Problem('method-too-weak')
    case 'malformed-code': return new Problem('invalid-request', { errors: [{ pointer: '/code', detail: 'is not of the form of such a code' }] })
    case 'invalid-code': return new Problem('invalid-code', { members: { attempts_remaining: attemptsRemaining } })
    default: return new Problem('method-not-accepted')
  }
}

function show ({ id, purpose, methods, expiresAt, attemptsRemaining }: ShownChallenge): z.infer<typeof challengeShape> {
  return { id, purpose, methods, expires_at: showTime(expiresAt), attempts_remaining: attemptsRemaining }
}

function askerOf (request: FastifyRequest): Asker {
  const caller = callerOfRequest(request)
  return { accountId: caller.scopes.has('settings') ? caller.accountId : undefined, delegate: caller.scopes.has('verification:delegate') ? caller.subject : null }
}

/**
 * Who is to be verified: the caller, or at a sign-in the account that the caller names and may name. Whose account that
 * is, the issuers' settings and the caller's token say, never the body; what either calls an organisation's is one.
 */
function personToVerify (
  caller: Caller,
  body: { purpose: string, account_id?: string | undefined, email?: string | undefined },
  isOrganizationAccount: (accountId: string) => boolean
): { person: Person, delegate: string | null } {
  if (body.purpose !== 'sign_in') {
    if (!caller.scopes.has('settings')) throw insufficientScope(['settings'])
    if (body.account_id !== undefined || body.email !== undefined) throw wrong('/account_id', 'goes with the purpose sign_in only')
    if (caller.accountId === undefined) throw new Problem('account-required')
    return { person: { ...caller, accountId: caller.accountId }, delegate: null }
  }
  if (!caller.scopes.has('verification:delegate')) throw insufficientScope(['verification:delegate'])
  if (body.account_id === undefined) throw wrong('/account_id', 'must name the account that signs in')
  const accountKind = isOrganizationAccount(body.account_id) ? 'organization' : caller.accountKind
  return { person: { ...caller, accountKind, accountId: body.account_id, email: body.email, language: undefined }, delegate: caller.subject }
}

function wrong (pointer: string, detail: string): Problem {
  return new Problem('invalid-request', { errors: [{ pointer, detail }] })
}
