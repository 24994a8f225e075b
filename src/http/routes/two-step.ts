/** Where people protect their account: 2-step verification, backup codes, what happened to them. */
import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Person } from '../../domain/caller.ts'
import type { SecurityEvent } from '../../domain/security-event.ts'
import { addressHint, type VerificationPurpose } from '../../domain/verification.ts'
import type { ManageTwoStep } from '../../flows/manage-two-step.ts'
import type { Payment, SpentToken } from '../../flows/ports.ts'
import type { CheckToken } from '../../flows/check-token.ts'
import { personOfRequest } from '../auth.ts'
import type { Cursors } from '../cursors.ts'
import { Problem } from '../problem.ts'
import { pageShape, showTime, shownTime } from '../shapes.ts'
import { needsVerification, paymentProblems, requirePayment } from '../verification.ts'

export interface TwoStepRouteOptions {
  manageTwoStep: ManageTwoStep
  checkToken: CheckToken
  qrSvg: (text: string) => string
  privacyContact: string
  cursors: Cursors
}

const config = { scope: 'settings', unavailable: 'verification-unavailable' } as const
const ofOwnAccounts = ['account-required', 'managed-by-organization'] as const
const secured = { tags: ['verification'], security: [{ accessToken: [] }] }
const verified = z.looseObject({ 'verification-token': z.string().optional() })
const codesShape = z.array(z.string())

export function twoStepRoutes ({ manageTwoStep, checkToken, qrSvg, privacyContact, cursors }: TwoStepRouteOptions): FastifyPluginAsyncZod {
  /** The token that pays; an organisation's people have no 2-step verification to pay for. */
  const paidBy = async (request: FastifyRequest, person: Person, purpose: VerificationPurpose): Promise<Payment & { token: SpentToken }> => {
    const { token, verifiedBy } = await requirePayment(checkToken, request, person, purpose, undefined)
    if (token === undefined) throw needsVerification('verification-required')
    return { token, verifiedBy }
  }

  return async app => {
    app.get('/v1/me/security', {
      config: { ...config, problems: ['account-required'] },
      schema: {
        summary: 'How my account is protected',
        ...secured,
        response: {
          200: z.object({
            two_step: z.object({ status: z.enum(['off', 'on', 'suspended']), recommended: z.boolean(), enrolled_at: shownTime.optional(), disable_at: shownTime.optional() }),
            backup_codes: z.object({ remaining: z.int(), low: z.boolean(), generated_at: shownTime }).optional(),
            email: z.object({ hint: z.string(), verified: z.boolean() }).nullable(),
            managed_by_organization: z.boolean(),
            locked_until: shownTime.optional(),
            contact: z.string()
          })
        }
      }
    }, async request => {
      const person = personOfRequest(request)
      const { twoStep, backupCodes, lockedUntil } = await manageTwoStep.status(person)
      const managed = person.accountKind === 'organization'
      return {
        two_step: {
          status: managed ? 'off' as const : twoStep.status,
          recommended: !managed,
          ...(managed || twoStep.enrolledAt === null ? {} : { enrolled_at: showTime(twoStep.enrolledAt) }),
          ...(managed || twoStep.disableAt === null ? {} : { disable_at: showTime(twoStep.disableAt) })
        },
        ...(managed || backupCodes === undefined ? {} : { backup_codes: { remaining: backupCodes.remaining, low: backupCodes.low, generated_at: showTime(backupCodes.generatedAt) } }),
        email: person.email === undefined ? null : { hint: addressHint(person.email), verified: person.emailVerified },
        managed_by_organization: managed,
        ...(lockedUntil === undefined ? {} : { locked_until: showTime(lockedUntil) }),
        contact: privacyContact
      }
    })

    app.get('/v1/me/security/events', {
      config: { ...config, problems: ['account-required'] },
      schema: {
        summary: 'What happened to the protection of my account; newest first',
        ...secured,
        querystring: pageShape,
        response: { 200: z.object({ events: z.array(z.record(z.string(), z.unknown())), next_cursor: z.string().optional() }) }
      }
    }, async request => {
      const person = personOfRequest(request)
      const { limit = 50, cursor } = request.query
      const events = await manageTwoStep.listEvents(person, limit, cursors.readPlaceFrom(cursor, `events:${person.accountId}`))
      const last = events.at(-1)
      const more = events.length === limit && last !== undefined
      return { events: events.map(showEvent), ...(more ? { next_cursor: cursors.write({ at: last.at, id: last.event_id }, `events:${person.accountId}`) } : {}) }
    })

    app.post('/v1/me/two-step/totp', {
      config: { ...config, problems: [...ofOwnAccounts, ...paymentProblems] },
      schema: {
        summary: 'Set up an authenticator app, or another in place of it',
        ...secured,
        headers: verified,
        response: { 201: z.object({ enrollment_id: z.string(), secret: z.string(), otpauth_uri: z.string(), qr_svg: z.string(), expires_at: shownTime }) }
      }
    }, async (request, reply) => {
      const person = ownAccount(request)
      const { twoStep } = await manageTwoStep.status(person)
      const { token } = await paidBy(request, person, twoStep.status === 'off' ? 'two_step.enroll' : 'two_step.replace')
      const started = await manageTwoStep.startEnrolment(person, token)
      if (!started.started) throw unpaid(started.reason)
      return await reply.code(201).send({
        enrollment_id: started.enrolmentId, secret: started.secret, otpauth_uri: started.uri, qr_svg: qrSvg(started.uri), expires_at: showTime(started.expiresAt)
      })
    })

    app.post('/v1/me/two-step/totp/:enrollment_id/confirm', {
      config: {
        ...config,
        problems: [...ofOwnAccounts, 'invalid-code', 'not-found', 'enrollment-confirmed', 'enrollment-conflict', 'enrollment-expired', 'enrollment-exhausted']
      },
      schema: {
        summary: 'Confirm the authenticator app with its first code',
        ...secured,
        params: z.strictObject({ enrollment_id: z.string().min(1).max(64) }),
        body: z.strictObject({ code: z.string().min(1).max(100) }),
        response: { 200: z.object({ status: z.literal('on'), backup_codes: codesShape }) }
      }
    }, async request => {
      const outcome = await manageTwoStep.confirm(ownAccount(request), request.params.enrollment_id, request.body.code)
      if (outcome.confirmed) return { status: 'on' as const, backup_codes: outcome.backupCodes }
      switch (outcome.reason) {
        case 'malformed-code': throw new Problem('invalid-request', { errors: [{ pointer: '/code', detail: 'is not of the form of such a code' }] })
        case 'invalid-code': throw new Problem('invalid-code', { members: { attempts_remaining: outcome.attemptsRemaining } })
        case 'unknown': throw new Problem('not-found')
        case 'already-confirmed': throw new Problem('enrollment-confirmed')
        case 'conflict': throw new Problem('enrollment-conflict')
        default: throw new Problem(outcome.reason === 'expired' ? 'enrollment-expired' : 'enrollment-exhausted')
      }
    })

    app.delete('/v1/me/two-step', {
      config: { ...config, problems: [...ofOwnAccounts, 'two-step-off', ...paymentProblems] },
      schema: { summary: 'Turn 2-step verification off', ...secured, headers: verified, response: { 202: z.object({ effective_at: shownTime }), 204: z.null() } }
    }, async (request, reply) => {
      const person = await withTwoStep(request)
      const outcome = await manageTwoStep.disable(person, await paidBy(request, person, 'two_step.disable'))
      if (!outcome.done) throw unpaid(outcome.reason)
      if (outcome.effectiveAt === undefined) return await reply.code(204).send(null)
      return await reply.code(202).send({ effective_at: showTime(outcome.effectiveAt) })
    })

    app.delete('/v1/me/two-step/pending-disable', {
      config: { ...config, problems: [...ofOwnAccounts, 'not-found'] },
      schema: { summary: 'Keep 2-step verification on after all', ...secured, response: { 204: z.null() } }
    }, async (request, reply) => {
      if (!await manageTwoStep.cancelDisable(ownAccount(request))) throw new Problem('not-found', { detail: 'Nothing is pending.' })
      return await reply.code(204).send(null)
    })

    app.post('/v1/me/two-step/backup-codes', {
      config: { ...config, problems: [...ofOwnAccounts, 'two-step-off', ...paymentProblems] },
      schema: { summary: 'Make new backup codes', ...secured, headers: verified, response: { 201: z.object({ codes: codesShape, generated_at: shownTime }) } }
    }, async (request, reply) => {
      const person = await withTwoStep(request)
      const { token } = await paidBy(request, person, 'backup_codes.regenerate')
      const outcome = await manageTwoStep.regenerate(person, token)
      if (!outcome.done) throw unpaid(outcome.reason)
      return await reply.code(201).send({ codes: outcome.codes, generated_at: showTime(outcome.generatedAt) })
    })
  }

  async function withTwoStep (request: FastifyRequest): Promise<Person> {
    const person = ownAccount(request)
    if ((await manageTwoStep.status(person)).twoStep.status === 'off') throw new Problem('two-step-off')
    return person
  }
}

/** A person whose account is their own: an organisation's has no 2-step verification here. */
function ownAccount (request: FastifyRequest): Person {
  const person = personOfRequest(request)
  if (person.accountKind === 'organization') throw new Problem('managed-by-organization')
  return person
}

function unpaid (reason: 'spent' | 'superseded' | 'conflict' | 'closed'): Problem {
  return needsVerification(reason === 'spent' ? 'verification-spent' : 'verification-required')
}

function showEvent ({ event_id: id, kind, at, actor, reason, remaining, effective_at: effectiveAt }: SecurityEvent): Record<string, unknown> {
  return { event_id: id, kind, at: showTime(at), actor, reason, remaining, effective_at: effectiveAt === null ? null : showTime(effectiveAt) }
}
