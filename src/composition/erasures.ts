/** Puts together what erases: asking for it, and working it off. */
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeErasureTable } from '../clickhouse/erasure-table.ts'
import { makeDocumentSigner } from '../crypto/document-signer.ts'
import { makePseudonym } from '../crypto/keyed-hash.ts'
import { subjectOf, type LedgerEntry } from '../domain/ledger.ts'
import type { ErasureTable } from '../flows/erasure-ports.ts'
import { makeEraseSubject } from '../flows/erase-subject.ts'
import { makeEraseWithdrawn, makeRequestErasure, type RequestErasure } from '../flows/request-erasure.ts'
import type { StoreEvents } from '../flows/store-events.ts'
import { makeErasureQueue } from '../redis/erasure-queue.ts'
import { erasureIdFor, makeErasureStore } from '../redis/erasure-store.ts'
import type { Parts } from './parts.ts'
import { repeat } from './repeat.ts'

const pollMs = 300
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

/** Works off open erasures, each by itself, until the process ends. */
export function startErasing (parts: Parts, clickhouse: ClickHouse, storeEvents: StoreEvents): void {
  const { redis, secrets, devices, closers, tell, now } = parts
  const erasures = makeErasureStore(redis)
  const table = tableOf(parts, clickhouse)
  const queue = makeErasureQueue(redis)
  const signer = makeDocumentSigner(secrets.verificationKeys)
  const eraseSubject = makeEraseSubject({
    erasures,
    queue,
    table,
    devices,
    storeEvents,
    sign: async document => await (await signer)(document as Record<string, unknown>, certificateType),
    onLateRows: () => { tell('erasure-found-late-rows') },
    now
  })

  let resumed = false
  const turn = async (): Promise<number> => {
    if (!resumed) {
      // What a Redis that was lost had open, ClickHouse still has on record.
      for (const erasure of await table.unfinished()) await erasures.open(erasure)
      resumed = true
    }
    const due = await erasures.due(now())
    await Promise.all(due.map(async open => {
      try {
        await eraseSubject(open)
      } catch (error) {
        tell('erasure-failed', error)
      }
    }))
    return pollMs
  }
  const erasing = repeat(turn, error => { tell('erasure-failed', error) }, 1000)
  closers.push(queue.close, erasing.stop)
}

function tableOf ({ secrets, now }: Parts, { client }: ClickHouse): ErasureTable {
  return makeErasureTable(client, {
    pseudonym: makePseudonym(secrets.pseudonymKey),
    idOf: ({ accountId, deviceId }, uuid) => erasureIdFor(subjectOf({ account_id: accountId, device_id: deviceId }), uuid),
    now
  })
}
