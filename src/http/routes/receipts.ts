/** Where people and the privacy team get signed receipts for entries of the ledger. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { IssueReceipt, SignedReceipt } from '../../flows/issue-receipt.ts'
import { personOfRequest } from '../auth.ts'
import { Problem } from '../problem.ts'
import { uuidShape } from '../shapes.ts'

const params = z.strictObject({ entry_id: uuidShape })
const receiptShape = z.object({
  receipt: z.record(z.string(), z.unknown()), signature: z.string(), ledger_head: z.object({ entries: z.int(), position: z.string() })
})

export function receiptRoutes ({ issueReceipt }: { issueReceipt: IssueReceipt }): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/privacy/ledger/:entry_id/receipt', {
      config: { scope: ['privacy:read', 'privacy:admin'], problems: ['not-found'] },
      schema: {
        summary: 'A signed receipt for an entry of the ledger',
        tags: ['privacy team'],
        params,
        querystring: z.strictObject({ account_id: z.string().min(1).max(320).optional() }),
        response: { 200: receiptShape }
      }
    }, async request => {
      const { account_id: accountId } = request.query
      return orNotFound(await issueReceipt(request.params.entry_id, accountId === undefined ? undefined : { kind: 'account', id: accountId }))
    })
  }
}

export function ownReceiptRoutes ({ issueReceipt }: { issueReceipt: IssueReceipt }): FastifyPluginAsyncZod {
  return async app => {
    app.get('/v1/me/privacy/history/:entry_id/receipt', {
      config: { scope: 'settings', problems: ['account-required', 'not-found'] },
      schema: { summary: 'A signed receipt for one of my choices', tags: ['people'], params, response: { 200: receiptShape } }
    }, async request => orNotFound(await issueReceipt(request.params.entry_id, { kind: 'account', id: personOfRequest(request).accountId })))
  }
}

function orNotFound (signed: SignedReceipt | undefined): SignedReceipt {
  if (signed === undefined) throw new Problem('not-found')
  return signed
}
