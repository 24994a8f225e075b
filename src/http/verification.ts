/** What a gated route asks for: a verification token that pays for this change by this person. */
import type { FastifyRequest } from 'fastify'
import type { Person } from '../domain/caller.ts'
import { assuranceOf, tokenLifetimeSeconds, type Method, type VerificationPurpose } from '../domain/verification.ts'
import type { Payment } from '../flows/ports.ts'
import type { CheckToken } from '../flows/check-token.ts'
import { Problem } from './problem.ts'

const everyMethod = Object.keys(assuranceOf) as Method[]

/** What a gated route refuses, for the document. */
export const paymentProblems = ['verification-required', 'verification-spent', 'verification-mismatch'] as const

/** The refusal of a change that is not paid for, with what would pay (RFC 9470). */
export function needsVerification (slug: 'verification-required' | 'verification-spent', methods: readonly Method[] = everyMethod): Problem {
  const acr = [...new Set(methods.map(method => assuranceOf[method].acr))].join(' ')
  return new Problem(slug, {
    headers: { 'www-authenticate': `Bearer error="insufficient_user_authentication", acr_values="${acr}", max_age="${String(tokenLifetimeSeconds)}"` }
  })
}

export async function requirePayment (
  checkToken: CheckToken, request: FastifyRequest, person: Person, purpose: VerificationPurpose, change: unknown
): Promise<Payment> {
  const header = request.headers['verification-token']
  const checked = await checkToken(person, typeof header === 'string' ? header : undefined, purpose, change)
  if (checked.paid) return checked.payment
  throw checked.reason === 'verification-required' ? needsVerification('verification-required', checked.methods) : new Problem('verification-mismatch')
}
