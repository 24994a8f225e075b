/** Puts together what the privacy team uses. */
import type { FastifyPluginAsync } from 'fastify'
import type { ClickHouse } from '../clickhouse/client.ts'
import type { Access } from '../flows/ports.ts'
import { makeSetOrgPolicy } from '../flows/set-org-policy.ts'
import { erasureRoutes } from '../http/routes/erasures.ts'
import { ledgerVerifyRoutes } from '../http/routes/ledger-verify.ts'
import { organizationRoutes } from '../http/routes/organizations.ts'
import { teamRoutes } from '../http/team-routes.ts'
import { makeOutbox } from '../redis/outbox.ts'
import { makeErasureRequests } from './erasures.ts'
import { makeTeamExportRoutes } from './exports.ts'
import { makeLedgerGuard } from './ledger.ts'
import type { Parts } from './parts.ts'
import { makePrivacyQuestions } from './privacy.ts'

/** What lets the privacy team ask who agreed to what, when, and what was kept. */
export function makeTeamRoutes (parts: Parts, clickhouse: ClickHouse): FastifyPluginAsync {
  const { catalog, consents, privacyContact, redis, now, newId } = parts
  const accessLog = makeOutbox<Access>(redis, 'access-log')
  return teamRoutes({
    logAccess: async access => { await accessLog.add(access.accessId, access) },
    now,
    newId,
    routes: [
      ...makePrivacyQuestions(parts, clickhouse),
      organizationRoutes({ setOrgPolicy: makeSetOrgPolicy({ catalog, policies: consents, now, newId }), privacyContact }),
      ledgerVerifyRoutes({ verifyLedger: makeLedgerGuard(parts, clickhouse).verify }),
      erasureRoutes({ requestErasure: makeErasureRequests(parts, clickhouse) }),
      ...makeTeamExportRoutes(parts, clickhouse)
    ]
  })
}
