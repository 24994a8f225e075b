/** Puts together what the privacy team uses. */
import type { FastifyPluginAsync } from 'fastify'
import type { ClickHouse } from '../clickhouse/client.ts'
import { sameHash } from '../crypto/keyed-hash.ts'
import { makeAdministerAccounts } from '../flows/administer-accounts.ts'
import type { Access } from '../flows/ports.ts'
import { makeSetOrgPolicy } from '../flows/set-org-policy.ts'
import { makeCursors } from '../http/cursors.ts'
import { adminRoutes } from '../http/routes/admin.ts'
import { erasureRoutes } from '../http/routes/erasures.ts'
import { ledgerVerifyRoutes } from '../http/routes/ledger-verify.ts'
import { organizationRoutes } from '../http/routes/organizations.ts'
import { securityEventRoutes } from '../http/routes/security-events.ts'
import { teamRoutes } from '../http/team-routes.ts'
import { makeOutbox } from '../redis/outbox.ts'
import { makeAccountSecurity } from './account-security.ts'
import { makeErasureRequests } from './erasures.ts'
import { makeTeamExportRoutes } from './exports.ts'
import { makeLedgerGuard } from './ledger.ts'
import type { Parts } from './parts.ts'
import { makePrivacyQuestions } from './privacy.ts'
import { makeSecurityEventList } from './security-events.ts'

/** What lets the privacy team ask who agreed to what, when, and what was kept. */
export function makeTeamRoutes (parts: Parts, clickhouse: ClickHouse): FastifyPluginAsync {
  const { catalog, consents, pepper, privacyContact, redis, now, newId } = parts
  const accessLog = makeOutbox<Access>(redis, 'access-log')
  return teamRoutes({
    logAccess: async access => { await accessLog.add(access.accessId, access) },
    now,
    newId,
    administration: [adminRoutes({ administerAccounts: makeAdministerAccounts(makeAccountSecurity(parts)) })],
    routes: [
      ...makePrivacyQuestions(parts, clickhouse),
      securityEventRoutes({ listEvents: makeSecurityEventList(redis, clickhouse.reader), cursors: makeCursors(pepper, sameHash) }),
      organizationRoutes({ setOrgPolicy: makeSetOrgPolicy({ catalog, policies: consents, now, newId }), privacyContact }),
      ledgerVerifyRoutes({ verifyLedger: makeLedgerGuard(parts, clickhouse).verify }),
      erasureRoutes({ requestErasure: makeErasureRequests(parts, clickhouse) }),
      ...makeTeamExportRoutes(parts, clickhouse)
    ]
  })
}
