/** Where the privacy team has the ledger verified. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { showHead } from '../../domain/ledger-head.ts'
import type { Subject } from '../../domain/ledger.ts'
import type { BadPlace, VerifyLedger } from '../../flows/verify-ledger.ts'
import { deviceIdShape } from '../shapes.ts'

const accountIdShape = z.string().min(1).max(255)
const body = z.strictObject({ account_id: accountIdShape.optional(), device_id: deviceIdShape.optional() })
  .refine(({ account_id: account, device_id: device }) => account === undefined || device === undefined, 'must not name both an account_id and a device_id')
  .nullish()

const badPlace = z.object({
  what: z.enum(['hash', 'chain', 'revision_missing', 'forked', 'sequence_missing', 'tail_missing', 'partition', 'place', 'count_behind', 'state', 'checkpoint_signature', 'checkpoint_broken']),
  subject: z.object({ kind: z.enum(['account', 'device']), id: z.string() }).optional(),
  revision: z.number().optional(),
  entry_id: z.string().optional(),
  partition: z.number().optional(),
  sequence: z.number().optional(),
  checkpoint_id: z.string().optional()
})

export function ledgerVerifyRoutes ({ verifyLedger }: { verifyLedger: VerifyLedger }): FastifyPluginAsyncZod {
  return async app => {
    app.post('/v1/privacy/ledger/verify', {
      config: { scope: ['privacy:read', 'privacy:admin'] },
      schema: {
        summary: 'Verify that the ledger is what was written: all of it, or one account\'s or device\'s part',
        tags: ['privacy team'],
        body,
        response: {
          200: z.object({
            checked: z.number(),
            unplaced: z.number(),
            ok: z.boolean(),
            first_bad: badPlace.optional(),
            checkpoints: z.object({ checked: z.number(), ok: z.boolean() }),
            ledger_head: z.object({ entries: z.number(), position: z.string() })
          })
        }
      }
    }, async request => {
      request.accessAbout = request.body ?? undefined
      const { checked, unplaced, firstBad, checkpoints, head } = await verifyLedger(subjectOf(request.body ?? {}))
      return {
        checked,
        unplaced,
        ok: firstBad === undefined,
        ...(firstBad === undefined ? {} : { first_bad: showPlace(firstBad) }),
        checkpoints,
        ledger_head: showHead(head)
      }
    })
  }
}

function subjectOf ({ account_id: account, device_id: device }: { account_id?: string | undefined, device_id?: string | undefined }): Subject | undefined {
  if (account !== undefined) return { kind: 'account', id: account }
  return device === undefined ? undefined : { kind: 'device', id: device }
}

function showPlace ({ what, subject, revision, entryId, place, checkpointId }: BadPlace): z.infer<typeof badPlace> {
  return { what, subject, revision, entry_id: entryId, ...place, checkpoint_id: checkpointId }
}
