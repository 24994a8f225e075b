/** Who may call what: the only list of it beside the routes themselves. A route that is not here fails the test of it. */
import { randomUUID } from 'node:crypto'
import { makeBatch } from '../support/api.ts'

export const scopes = ['telemetry:write', 'settings', 'privacy:read', 'privacy:admin', 'verification:delegate', 'security:admin'] as const
export type Scope = typeof scopes[number]

/** What becomes of a caller: let in, whatever is answered then, or turned away with a problem of 401 or 403. */
export type Verdict = 'in' | 'invalid-token' | 'insufficient-scope' | 'account-required' | 'managed-by-organization' | 'verification-required'

export interface Rule {
  /** The scopes that each let a caller in; none where everybody is. */
  scopes: readonly Scope[]
  /** What becomes of a signed-in person who has the scope. */
  person?: Verdict
  /** Of a device that nobody is signed in on, with every scope. */
  device?: Verdict
  /** Of somebody whose account is an organisation's, with every scope. */
  organization?: Verdict
  body?: unknown
}

const id = randomUUID()
const everybody: Rule = { scopes: [] }
const team: Rule = { scopes: ['privacy:read', 'privacy:admin'] }
const teamAdmin: Rule = { scopes: ['privacy:admin'] }
/** A person's own, so no device's. */
const own: Rule = { scopes: ['settings'], device: 'account-required' }
const ownProved: Rule = { ...own, person: 'verification-required', organization: 'verification-required' }
/** What an organisation does for its people itself. */
const ownFactor: Rule = { ...own, organization: 'managed-by-organization' }
const challenge: Rule = { scopes: ['settings', 'verification:delegate'] }
const admin: Rule = { scopes: ['security:admin'], body: { reason: 'lost the phone' } }

export const rules: Readonly<Record<string, Rule>> = {
  'GET /health/live': everybody,
  'GET /health/ready': everybody,
  'GET /metrics': everybody,
  'GET /problems/:slug': everybody,
  'GET /openapi.json': everybody,
  'GET /docs/': everybody,
  'GET /docs/json': everybody,
  'GET /docs/yaml': everybody,
  'GET /docs/static/index.html': everybody,
  'GET /docs/static/swagger-initializer.js': everybody,
  'GET /docs/static/*': everybody,
  'GET /v1/catalog': everybody,
  'GET /.well-known/jwks.json': everybody,
  'POST /dev/token': everybody,
  'GET /dev/inbox': everybody,
  'POST /dev/sql': everybody,

  'POST /v1/events': { scopes: ['telemetry:write'], body: makeBatch() },
  'GET /v1/consent': { scopes: ['telemetry:write'] },

  'GET /v1/me/privacy': own,
  'PATCH /v1/me/privacy': { ...ownProved, body: { account: { diagnostics: 'granted' } } },
  'POST /v1/me/privacy/stop': own,
  'GET /v1/me/privacy/history': own,
  'GET /v1/me/privacy/history/:entry_id/receipt': own,
  'GET /v1/me/security': own,
  'GET /v1/me/security/events': own,
  'POST /v1/me/two-step/totp': { ...ownFactor, person: 'verification-required' },
  'POST /v1/me/two-step/totp/:enrollment_id/confirm': { ...ownFactor, body: { code: '123456' } },
  'DELETE /v1/me/two-step': ownFactor,
  'DELETE /v1/me/two-step/pending-disable': ownFactor,
  'POST /v1/me/two-step/backup-codes': ownFactor,
  'POST /v1/me/export': ownProved,
  'GET /v1/me/export/:id': own,
  'GET /v1/me/export/:id/data': own,
  'POST /v1/me/erasure': ownProved,
  'GET /v1/me/erasure/:id': own,
  'PUT /v1/devices/:device_id/privacy': { scopes: ['settings'], body: { diagnostics: 'denied' } },

  'POST /v1/verification/challenges': { ...challenge, device: 'account-required', body: { purpose: 'privacy.update' } },
  'GET /v1/verification/challenges/:id': challenge,
  'DELETE /v1/verification/challenges/:id': challenge,
  'POST /v1/verification/challenges/:id/email': challenge,
  'POST /v1/verification/challenges/:id/verify': challenge,

  'GET /v1/privacy/accounts': team,
  'GET /v1/privacy/accounts/:account_id': team,
  'GET /v1/privacy/accounts/:account_id/security-events': { scopes: ['privacy:admin', 'security:admin'] },
  'GET /v1/privacy/ledger': team,
  'GET /v1/privacy/ledger/:entry_id/receipt': team,
  'POST /v1/privacy/ledger/verify': team,
  'POST /v1/privacy/consents/check': team,
  'GET /v1/privacy/stats/consents': team,
  'GET /v1/privacy/stats/decisions': team,
  'POST /v1/privacy/exports': team,
  'GET /v1/privacy/exports/:id': team,
  'GET /v1/privacy/exports/:id/data': team,
  'POST /v1/privacy/erasures': teamAdmin,
  'GET /v1/privacy/erasures/:id': team,
  'PUT /v1/privacy/organizations/:org_id/policy': teamAdmin,

  'POST /v1/admin/accounts/:account_id/two-step/reset': admin,
  'POST /v1/admin/accounts/:account_id/two-step/unlock': admin,
  'POST /v1/admin/accounts/:account_id/unlock': admin
}

/** The address of a route of which nothing is there. */
export function addressOf (url: string): string {
  return url.replace(':device_id', 'pc-1').replace(':slug', 'not-found').replace(/:account_id|:org_id/, 'nobody').replace(/:\w+/g, id).replace('*', 'index.css')
}
