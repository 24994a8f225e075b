/** Exports that were asked for. They expire; what they hold is not here. */
import type { RedisClient } from './servers.ts'
import { exportLifetimeMs, ownExportLifetimeMs, type ExportState, type ExportSum, type LedgerExport } from '../domain/export.ts'
import type { ExportStore, OwnExport, OwnExportStore } from '../flows/export-ports.ts'
import { accountPartition, keyIn, partitionOf } from './keys.ts'
import { makeOutbox } from './outbox.ts'
import { orUnavailable } from './unavailable.ts'

const outboxKind = 'exports'

export function makeExportStore (redis: RedisClient): ExportStore {
  const outbox = makeOutbox<{ id: string }>(redis, outboxKind)
  const keyOf = (id: string): string => keyIn(partitionOf(id), 'export', id)

  return orUnavailable<ExportStore>('export', {
    async start (ledgerExport) {
      const { id } = ledgerExport
      const key = keyOf(id)
      const answers = await redis.multi()
        .hset(key, 'export', JSON.stringify(ledgerExport), 'status', 'running', 'rows_done', 0)
        .pexpire(key, exportLifetimeMs)
        .xadd(keyIn(partitionOf(id), outboxKind), '*', 'entry', JSON.stringify({ id }))
        .exec()
      if (answers === null || answers.some(([error]) => error !== null)) throw new Error('not written')
    },

    async find (id) {
      const [text, status, rowsDone, sum] = await redis.hmget(keyOf(id), 'export', 'status', 'rows_done', 'sum')
      if (text == null) return undefined
      return { ledgerExport: JSON.parse(text) as LedgerExport, state: stateOf(status ?? '', Number(rowsDone), sum ?? '') }
    },

    async noteProgress (id, rowsDone) {
      await redis.hset(keyOf(id), 'rows_done', rowsDone)
    },

    async finish (id, sum) {
      await redis.hset(keyOf(id), 'status', 'ready', 'sum', JSON.stringify(sum))
    },

    async fail (id) {
      await redis.hset(keyOf(id), 'status', 'failed')
    },

    async waiting () {
      const found = await outbox.peek(10)
      return found.map(waiting => ({ id: waiting.entry.id, done: async () => { await outbox.remove([waiting]) } }))
    }
  })
}

function stateOf (status: string, rowsDone: number, sum: string): ExportState {
  if (status === 'ready') return { status, sum: JSON.parse(sum) as ExportSum }
  return { status: status === 'failed' ? status : 'running', rowsDone }
}

export function makeOwnExportStore (redis: RedisClient): OwnExportStore {
  const keyOf = (accountId: string, id: string): string => keyIn(accountPartition(accountId), 'own-export', `${accountId}:${id}`)

  return orUnavailable<OwnExportStore>('export', {
    async start (accountId, ownExport, token) {
      const partition = accountPartition(accountId)
      const outcome = await redis.startOwnExport(
        keyOf(accountId, ownExport.id), keyIn(partition, 'spent', token?.jti ?? ''), keyIn(partition, 'security', accountId),
        JSON.stringify(ownExport), ownExportLifetimeMs, token?.jti ?? '', token?.forgetInSeconds ?? 0, token?.securityVersion ?? 0
      )
      return outcome as 'written' | 'spent' | 'superseded'
    },

    async find (accountId, id) {
      const text = await redis.get(keyOf(accountId, id))
      return text === null ? undefined : JSON.parse(text) as OwnExport
    }
  })
}
