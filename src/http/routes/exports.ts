/** Where the privacy team takes the ledger with it. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ExportChanged, exportFormats, type ExportFormat, type LedgerExport, type LedgerQuery } from '../../domain/export.ts'
import { showHead } from '../../domain/ledger-head.ts'
import type { ExportLedger, FoundExport } from '../../flows/export-ledger.ts'
import { callerOfRequest } from '../auth.ts'
import { makeDownloads } from '../downloads.ts'
import { Problem } from '../problem.ts'
import { deviceIdShape, instantShape, plainIdShape, showTime, shownTime, uuidShape } from '../shapes.ts'
import { purposeShape } from './privacy-shapes.ts'

const config = { scope: ['privacy:read', 'privacy:admin'] } as const
const tags = ['privacy team']
const contentTypes: Readonly<Record<ExportFormat, string>> = {
  ndjson: 'application/x-ndjson', csv: 'text/csv; charset=utf-8; header=present', parquet: 'application/vnd.apache.parquet'
}

const bodyShape = z.strictObject({
  format: z.enum(exportFormats),
  query: z.strictObject({
    account_id: plainIdShape.optional(),
    device_id: deviceIdShape.optional(),
    purpose: purposeShape.optional(),
    decision: z.enum(['granted', 'denied', 'cleared']).optional(),
    from: instantShape.optional(),
    to: instantShape.optional()
  }).default({}),
  at: z.string().max(300).optional()
})
const headShape = z.object({ entries: z.int(), position: z.string() })
const manifestShape = z.object({
  format: z.enum(exportFormats), rows: z.int(), bytes: z.int(), sha256: z.string(), ledger_head: headShape, query: z.record(z.string(), z.string()), created_at: shownTime
})
const exportShape = z.object({
  id: z.string(),
  status: z.enum(['running', 'ready', 'failed']),
  format: z.enum(exportFormats),
  query: z.record(z.string(), z.string()),
  ledger_head: headShape,
  created_at: shownTime,
  created_by: z.string(),
  rows_done: z.int(),
  manifest: manifestShape.optional(),
  download: z.string().optional()
})
const params = z.strictObject({ id: uuidShape })

export function exportRoutes ({ exportLedger }: { exportLedger: ExportLedger }): FastifyPluginAsyncZod {
  const find = async (id: string): Promise<FoundExport> => {
    const found = await exportLedger.find(id)
    if (found === undefined) throw new Problem('not-found')
    return found
  }

  return async app => {
    const openDownload = makeDownloads(app)

    app.post('/v1/privacy/exports', {
      config: { ...config, problems: ['range-reversed'] },
      schema: { summary: 'Export the ledger', tags, body: bodyShape, response: { 202: exportShape } }
    }, async (request, reply) => {
      const { format, query, at } = request.body
      request.accessAbout = { format, query: showQuery(query), at }
      if (query.from !== undefined && query.to !== undefined && query.from > query.to) throw new Problem('range-reversed')
      const started = await exportLedger.start(format, query, at, callerOfRequest(request).subject)
      if (started === undefined) throw new Problem('invalid-request', { errors: [{ pointer: '/at', detail: 'is not a place where the ledger has been' }] })
      return await reply.code(202).header('location', pathOf(started.ledgerExport)).send(show(started))
    })

    app.get('/v1/privacy/exports/:id', {
      config: { ...config, problems: ['not-found'] },
      schema: { summary: 'How an export stands', tags, params, response: { 200: exportShape } }
    }, async request => show(await find(request.params.id)))

    app.get('/v1/privacy/exports/:id/data', {
      config: { ...config, problems: ['not-found', 'export-running', 'export-failed', 'export-changed'] },
      schema: { summary: 'Download an export', tags, params, produces: Object.values(contentTypes) }
    }, async (request, reply) => {
      const { ledgerExport, state } = await find(request.params.id)
      if (state.status === 'running') throw new Problem('export-running', { retryAfterSeconds: 1 })
      if (state.status === 'failed') throw new Problem('export-failed')
      const { sha256, bytes } = state.sum
      const download = await openDownload(exportLedger.read(ledgerExport, state.sum)).catch((error: unknown) => {
        throw error instanceof ExportChanged ? new Problem('export-changed') : error
      })
      return await reply.headers({
        'content-type': contentTypes[ledgerExport.format],
        'content-disposition': `attachment; filename="ledger-${ledgerExport.id}.${ledgerExport.format}"`,
        'content-length': String(bytes),
        'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
      }).send(download)
    })
  }
}

function pathOf ({ id }: LedgerExport): string {
  return `/v1/privacy/exports/${id}`
}

function show ({ ledgerExport, state }: FoundExport): z.infer<typeof exportShape> {
  const { id, format, head, createdAt, createdBy } = ledgerExport
  const shared = { format, query: showQuery(ledgerExport.query), ledger_head: showHead(head), created_at: showTime(createdAt) }
  return {
    id,
    status: state.status,
    created_by: createdBy,
    ...shared,
    rows_done: state.status === 'ready' ? state.sum.rows : state.rowsDone,
    ...(state.status === 'ready' ? { manifest: { ...shared, ...state.sum }, download: `${pathOf(ledgerExport)}/data` } : {})
  }
}

function showQuery (query: LedgerQuery): Record<string, string> {
  return Object.fromEntries(Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'number' ? showTime(value) : value]]))
}
