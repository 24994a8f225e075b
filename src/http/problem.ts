/** Every error the service answers with, in one table, rendered in one place (RFC 9457). */
import type { FastifyReply } from 'fastify'

interface Kind { status: number, title: string, help: string }

export const problems = {
  'invalid-request': { status: 400, title: 'The request has the wrong shape', help: 'See "errors" for each place and what is wrong with it, and /docs for the shape.' },
  'invalid-json': { status: 400, title: 'The body is not acceptable JSON', help: 'Send one JSON document in UTF-8, without a byte order mark, nested at most 8 deep, with no key twice.' },
  'invalid-batch': { status: 400, title: 'The batch has the wrong shape', help: 'See "errors" for each place and what is wrong with it. Nothing of the batch was kept.' },
  'invalid-query': { status: 400, title: 'The SQL cannot be run', help: 'Send one read-only statement.' },
  'invalid-token': { status: 401, title: 'The access token is missing or not valid', help: 'Get a new access token from your issuer and send it as "Authorization: Bearer".' },
  'verification-required': { status: 401, title: 'This needs a fresh verification', help: 'Open a challenge at /v1/verification/challenges, verify it, and send the token as "Verification-Token".' },
  'verification-spent': { status: 401, title: 'This verification has been used', help: 'Each verification pays for one change. Verify again.' },
  'insufficient-scope': { status: 403, title: 'The access token does not cover this', help: 'Ask your issuer for a token with the scope named in the WWW-Authenticate header.' },
  'account-required': { status: 403, title: 'This needs a signed-in account', help: 'The token stands for a device or for nobody. Sign in first.' },
  'device-mismatch': { status: 403, title: 'The batch is from another device than the token', help: 'Send the device_id of the token, or none.' },
  'verification-mismatch': { status: 403, title: 'The verification was made for something else', help: 'It belongs to another account, session, purpose or change. Verify again for this one.' },
  'managed-by-organization': { status: 403, title: 'Your organisation manages this', help: 'Accounts of an organisation have no 2-step verification here; the organisation signs you in.' },
  'method-too-weak': { status: 403, title: 'An e-mailed code is not enough for this', help: 'Use your authenticator app or a backup code.' },
  'not-found': { status: 404, title: 'There is nothing here', help: 'Check the path against /docs.' },
  'two-step-off': { status: 404, title: '2-step verification is off', help: 'Turn it on first.' },
  'method-not-allowed': { status: 405, title: 'This path does not take this method', help: 'See the Allow header.' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive', help: 'Send it again.' },
  'export-running': { status: 409, title: 'The export is not ready yet', help: 'Ask how it stands, and download it once its status is "ready".' },
  'export-failed': { status: 409, title: 'The export could not be made', help: 'Ask for it again.' },
  'challenge-verified': { status: 409, title: 'This challenge has been verified already', help: 'Use the token it gave, or open a new challenge.' },
  'two-step-already-on': { status: 409, title: '2-step verification is on already', help: 'Replace the authenticator, or turn it off first.' },
  'enrollment-confirmed': { status: 409, title: 'This authenticator has been confirmed already', help: 'There is nothing more to do.' },
  'enrollment-conflict': { status: 409, title: 'Your account\'s protection has changed meanwhile', help: 'Start again.' },
  'enrollment-expired': { status: 410, title: 'Setting this authenticator up took too long', help: 'Start again.' },
  'enrollment-exhausted': { status: 410, title: 'There are no attempts left to confirm this authenticator', help: 'Start again.' },
  'export-changed': { status: 410, title: 'The ledger does not give this export any more', help: 'What it holds is no longer what the manifest tells of. Verify the ledger.' },
  'challenge-expired': { status: 410, title: 'This challenge has expired', help: 'Open a new one.' },
  'challenge-exhausted': { status: 410, title: 'This challenge has no attempts left', help: 'Open a new one.' },
  'revision-mismatch': { status: 412, title: 'The settings have changed meanwhile', help: 'Read them again, and send the change with the new ETag. Your verification is still good.' },
  'batch-too-large': { status: 413, title: 'The body is too large', help: 'A batch holds at most 1,000 events, 1 MiB on the wire and 8 MiB inflated; another body, mostly, 64 KiB. Send less at a time.' },
  'uri-too-long': { status: 414, title: 'The address is too long', help: 'Shorten it.' },
  'unsupported-media-type': { status: 415, title: 'The body is in a form that is not understood', help: 'Send application/json in UTF-8, plain or as gzip, zstd or br.' },
  'expectation-failed': { status: 417, title: 'This expectation cannot be met', help: 'Send no Expect header, or "100-continue".' },
  'purpose-not-changeable': { status: 422, title: 'This purpose cannot be switched off', help: 'It is needed to run the service. "contact" answers questions about it.' },
  'range-reversed': { status: 422, title: 'The time range ends before it begins', help: 'Give a "from" that is not later than "to".' },
  'range-too-long': { status: 422, title: 'The time range is too long', help: 'Ask for at most 400 days at a time.' },
  'unknown-purpose': { status: 422, title: 'There is no such purpose', help: 'See /v1/catalog for the purposes.' },
  'email-unknown': { status: 422, title: 'No e-mail address is known for this account', help: 'Ask your issuer for a token with the scope that carries the address.' },
  'method-not-accepted': { status: 422, title: 'This challenge does not accept this method', help: 'See "methods" of the challenge.' },
  'invalid-code': { status: 422, title: 'The code is not right', help: 'See "attempts_remaining".' },
  'authenticator-suspended': { status: 423, title: 'Your authenticator is suspended', help: 'Too many wrong codes were entered. Replace it with a backup code, or ask for a reset.' },
  'precondition-required': { status: 428, title: 'If-Match is missing', help: 'Read the settings, and send their ETag as If-Match.' },
  'rate-limited': { status: 429, title: 'Too many requests', help: 'Wait as long as Retry-After says. Nothing of this request was kept.' },
  'too-many-challenges': { status: 429, title: 'Too many challenges', help: 'Wait as long as Retry-After says.' },
  'resend-too-soon': { status: 429, title: 'A code was sent a moment ago', help: 'Wait as long as Retry-After says.' },
  'email-quota': { status: 429, title: 'Too many codes were sent', help: 'Wait as long as Retry-After says.' },
  'verification-locked': { status: 429, title: 'Too many wrong codes', help: 'Wait as long as Retry-After says.' },
  'headers-too-large': { status: 431, title: 'The headers are too large', help: 'Send fewer or shorter headers.' },
  'internal-error': { status: 500, title: 'Something went wrong here', help: 'It has been logged. Try again later.' },
  'unavailable': { status: 503, title: 'The service cannot do this at the moment', help: 'Nothing was kept. Send it again after Retry-After.' },
  'verification-unavailable': { status: 503, title: 'Verification is not available at the moment', help: 'Nothing was changed. Try again after Retry-After.' }
} as const satisfies Record<string, Kind>

/** On every answer: none is for a cache, and none is anything else than it says. */
export const answerHeaders = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const

/** On every page as well: nothing runs that is not named, and no other page may hold it in a frame. */
export const pageHeaders = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", 'referrer-policy': 'no-referrer'
} as const

export type ProblemSlug = keyof typeof problems

export interface ProblemExtras {
  detail?: string
  errors?: Array<{ pointer: string, detail: string }>
  headers?: Record<string, string>
  /** Seconds until it is worth trying again; goes out as Retry-After. */
  retryAfterSeconds?: number
  /** Further members of the problem document. */
  members?: Record<string, unknown>
}

/** Thrown where a request is refused; rendered by `sendProblem` alone. */
export class Problem extends Error {
  readonly slug: ProblemSlug
  readonly extras: ProblemExtras

  constructor (slug: ProblemSlug, extras: ProblemExtras = {}) {
    super(slug)
    this.name = 'Problem'
    this.slug = slug
    this.extras = extras
  }
}

/** Waiting for `ms` as whole seconds, at least one. */
export function secondsOf (ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000))
}

export function problemDocument (slug: ProblemSlug, { detail, errors, members }: ProblemExtras, instance: string): Record<string, unknown> {
  const { status, title, help } = problems[slug]
  return { type: `/problems/${slug}`, title, status, detail: detail ?? help, instance, ...(errors === undefined ? {} : { errors }), ...members }
}

/** Makes a reply that of a problem, and returns its document. */
export function becomeProblem (reply: FastifyReply, { slug, extras }: Pick<Problem, 'slug' | 'extras'>): Record<string, unknown> {
  const { status } = problems[slug]
  const retryAfter = extras.retryAfterSeconds ?? (status === 503 || status === 429 ? 1 : undefined)
  if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
  reply.code(status).headers({ ...answerHeaders, ...extras.headers }).type('application/problem+json')
  return problemDocument(slug, extras, reply.request.originalUrl.split('?', 1)[0] ?? '')
}

export function sendProblem (reply: FastifyReply, problem: Pick<Problem, 'slug' | 'extras'>): FastifyReply {
  const document = becomeProblem(reply, problem)
  return reply.serializer(JSON.stringify).send(document)
}
