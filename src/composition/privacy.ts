/** Puts together what answers the privacy team's questions. They are read on the connection that cannot write. */
import type { FastifyPluginAsync } from 'fastify'
import type { ClickHouse } from '../clickhouse/client.ts'
import { makePrivacyReader } from '../clickhouse/privacy-reader.ts'
import { makePrivacyStatistics } from '../clickhouse/privacy-statistics.ts'
import { sameHash } from '../crypto/keyed-hash.ts'
import { makeAnswerPrivacy } from '../flows/answer-privacy.ts'
import { makeAnswerStatistics } from '../flows/answer-statistics.ts'
import { makeCursors } from '../http/cursors.ts'
import { privacyAccountRoutes } from '../http/routes/privacy-accounts.ts'
import { privacyLedgerRoutes } from '../http/routes/privacy-ledger.ts'
import { privacyStatisticsRoutes } from '../http/routes/privacy-statistics.ts'
import { makeLedgerProgress } from '../redis/ledger-progress.ts'
import type { Parts } from './parts.ts'

/** How long a question waits for entries that are on their way, ms. */
const waitMs = 5000

export function makePrivacyQuestions ({ catalog, redis, queueBooks, pepper, now }: Parts, { reader }: ClickHouse): FastifyPluginAsync[] {
  const progress = makeLedgerProgress(redis, waitMs)
  const cursors = makeCursors(pepper, sameHash)
  const answerPrivacy = makeAnswerPrivacy({ catalog, progress, reader: makePrivacyReader(reader), now })
  const answerStatistics = makeAnswerStatistics({ catalog, progress, statistics: makePrivacyStatistics(reader), queueBooks, now })
  return [
    privacyAccountRoutes({ answerPrivacy, cursors }),
    privacyLedgerRoutes({ answerPrivacy, cursors }),
    privacyStatisticsRoutes({ answerStatistics, now })
  ]
}
