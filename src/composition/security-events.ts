/** Puts together what tells people of their account's protection, keeps the log of it, and does what is due. */
import type { ClickHouseClient } from '@clickhouse/client'
import type { RedisClient } from '../redis/servers.ts'
import { makeSecurityLog, type SecurityLog } from '../clickhouse/security-log.ts'
import { makeAddressBox } from '../crypto/address-box.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import { deliverSecurityEvents } from '../flows/deliver-security-events.ts'
import { drainOutbox } from '../flows/drain-outbox.ts'
import { settleAccounts } from '../flows/settle-accounts.ts'
import { letterAbout, writeLetter } from '../mail/letters.ts'
import { accountPartition } from '../redis/keys.ts'
import { makeOutbox } from '../redis/outbox.ts'
import { makeToldStream } from '../redis/told-stream.ts'
import type { Trouble } from '../metrics/troubles.ts'
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeAccountSecurity } from './account-security.ts'
import type { Parts } from './parts.ts'
import { repeat } from './repeat.ts'

const pollMs = 200
const settlePollMs = 500
/** A notice that could not be delivered for so long is of no use any more. */
const noticeLifetimeMs = 7 * 86_400_000
const entriesMax = 100

/** Lists what the log says of an account; waits for what is on its way there. */
export function makeSecurityEventList (redis: RedisClient, client: ClickHouseClient): SecurityLog['list'] {
  const outbox = makeOutbox<SecurityEvent>(redis, 'security-log')
  const log = makeSecurityLog(client)
  return async (accountId, limit, before) => {
    await outbox.drained(accountPartition(accountId), 5000)
    return await log.list(accountId, limit, before)
  }
}

/** Each goes on by itself: a ClickHouse that is away keeps no letter back. */
export function startSecurityEvents (parts: Parts, { client }: ClickHouse): void {
  const { redis, box, postOffice, closers, tell, now } = parts
  const stream = makeToldStream(redis)
  const log = makeSecurityLog(client)
  const addresses = makeAddressBox(box)
  const accountSecurity = makeAccountSecurity(parts)
  const openAddress = (accountId: string, sealed: string): { to: string, language: string | null } | undefined => {
    try {
      return addresses.open(accountId, sealed)
    } catch {
      tell('address-unreadable')
      return undefined
    }
  }
  const post = async ({ to, language }: { to: string, language: string | null }, event: SecurityEvent): Promise<void> => {
    await postOffice.post(writeLetter(to, language, letterAbout(event)), now() + noticeLifetimeMs, event.event_id)
  }
  const outbox = { peek: stream.told, remove: makeOutbox<SecurityEvent>(redis, 'security-log').remove }
  const turns: ReadonlyArray<[turn: () => Promise<number>, idleMs: number, trouble: Trouble]> = [
    [async () => await deliverSecurityEvents({ stream, openAddress, post, entriesMax }), pollMs, 'notices-failed'],
    [async () => await drainOutbox({ outbox, deliver: async waiting => { await log.insert(waiting.map(({ entry }) => entry)) }, entriesMax }), pollMs, 'outbox-drain-failed'],
    [async () => await settleAccounts(accountSecurity), settlePollMs, 'settling-failed']
  ]
  for (const [turn, idleMs, trouble] of turns) {
    closers.push(repeat(async () => await turn() === 0 ? idleMs : 0, error => { tell(trouble, error) }, 1000).stop)
  }
}
