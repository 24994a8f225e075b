/** Puts together what erases: asking for it, and working it off. */
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeErasureTable } from '../clickhouse/erasure-table.ts'
import { makeEventTable } from '../clickhouse/event-table.ts'
import { makeDocumentSigner } from '../crypto/document-signer.ts'
import { makePseudonym, sha256Hex } from '../crypto/keyed-hash.ts'
import { subjectOf, type LedgerEntry } from '../domain/ledger.ts'
import type { ErasureTable } from '../flows/erasure-ports.ts'
import { makeEraseSubjects } from '../flows/erase-subject.ts'
import { makeEraseWithdrawn, makeRequestErasure, type RequestErasure } from '../flows/request-erasure.ts'
import { makeSettleDead } from '../flows/settle-dead.ts'
import type { StoreEvents } from '../flows/store-events.ts'
import { rewriteAppendOnlyFile } from '../redis/append-only-file.ts'
import { makeErasureQueue } from '../redis/erasure-queue.ts'
import { erasureIdFor, makeErasureStore } from '../redis/erasure-store.ts'
import { makeFrameCodec } from '../redis/frame-codec.ts'
import type { Parts } from './parts.ts'
import { repeat } from './repeat.ts'

const pollMs = { hide: 200, finish: 300, again: 1000 }
const rewriteEveryMs = 300_000
const certificateType = 'erasure-certificate+jws'

export function makeErasureRequests (parts: Parts, clickhouse: ClickHouse): RequestErasure {
  const { consents, redis, now, newId } = parts
  return makeRequestErasure({
    consents,
    erasures: makeErasureStore(redis),
    table: tableOf(parts, clickhouse),
    newErasureId: subject => erasureIdFor(subject, newId()),
    now
  })
}

/** Opens the erasures that withdrawals ask for. */
export function makeWithdrawals ({ catalog, redis }: Parts): (entries: readonly LedgerEntry[]) => Promise<void> {
  return makeEraseWithdrawn({ catalog, erasures: makeErasureStore(redis), erasureIdFor: entry => erasureIdFor(subjectOf(entry), entry.entry_id) })
}

/** Works off open erasures until the process ends. Hiding has a loop of its own, so that nothing slow holds it up. */
export function startErasing (parts: Parts, clickhouse: ClickHouse, storeEvents: StoreEvents): void {
  const { catalog, redis, secrets, devices, closers, tell, now } = parts
  const erasures = makeErasureStore(redis)
  const table = tableOf(parts, clickhouse)
  const queue = makeErasureQueue(redis)
  const signer = makeDocumentSigner(secrets.verificationKeys)
  const onFailed = (error: unknown): void => { tell('erasure-failed', error) }
  const eraseSubjects = makeEraseSubjects({
    erasures,
    queue,
    table,
    devices,
    settleDead: makeSettleDead({
      catalog,
      storeEvents,
      table: makeEventTable(clickhouse.client, now),
      queue,
      frameCodec: makeFrameCodec(),
      partIdOf: (requestId, purpose) => uuidFrom(sha256Hex(`${requestId} ${purpose}`)),
      onLeft: () => { tell('erasure-left-batch') }
    }),
    sign: async document => await (await signer)(document as Record<string, unknown>, certificateType),
    onLateRows: () => { tell('erasure-found-late-rows') },
    onFailed,
    now
  })

  let resumed = false
  const hide = async (): Promise<number> => {
    if (!resumed) {
      // What a Redis that was lost had open, ClickHouse still has on record.
      for (const erasure of await table.unfinished()) await erasures.open(erasure)
      resumed = true
    }
    await eraseSubjects.hide()
    return pollMs.hide
  }

  let rewrittenAt = 0
  let toRewrite = false
  const finish = async (): Promise<number> => {
    if (await eraseSubjects.finish() > 0) toRewrite = true
    // Not for each: it writes all that Redis holds.
    if (toRewrite && now() - rewrittenAt >= rewriteEveryMs) {
      rewrittenAt = now()
      toRewrite = !await rewriteAppendOnlyFile(redis)
    }
    return pollMs.finish
  }
  const lookAgain = async (): Promise<number> => {
    if (await eraseSubjects.lookAgain() > 0) toRewrite = true
    return pollMs.again
  }
  const loops = [hide, finish, lookAgain].map(turn => repeat(turn, onFailed, 1000))
  closers.push(async () => { await Promise.all(loops.map(async loop => { await loop.stop() })) })
}

function tableOf ({ secrets, now }: Parts, { client }: ClickHouse): ErasureTable {
  return makeErasureTable(client, {
    pseudonym: makePseudonym(secrets.pseudonymKey),
    idOf: ({ accountId, deviceId }, uuid) => erasureIdFor(subjectOf({ account_id: accountId, device_id: deviceId }), uuid),
    now
  })
}

function uuidFrom (hash: string): string {
  return hash.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
