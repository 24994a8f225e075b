/** Where people take with them what is held about them. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { PrivacySettings, ShownChoice } from '../../flows/change-settings.ts'
import type { ExportSubject, HeldItem } from '../../flows/export-subject.ts'
import type { OwnExport } from '../../flows/export-ports.ts'
import type { CheckToken } from '../../flows/check-token.ts'
import { personOfRequest } from '../auth.ts'
import { makeDownloads } from '../downloads.ts'
import { Problem } from '../problem.ts'
import { showTime, shownTime, uuidShape } from '../shapes.ts'
import { needsVerification, paymentProblems, requirePayment } from '../verification.ts'

const config = { scope: 'settings', unavailable: 'verification-unavailable' } as const
const tags = ['people']
const exportShape = z.object({ id: z.string(), status: z.literal('ready'), created_at: shownTime, expires_at: shownTime, download: z.string() })
const params = z.strictObject({ id: uuidShape })
const ndjson = 'application/x-ndjson'

export function ownExportRoutes ({ exportSubject, checkToken }: { exportSubject: ExportSubject, checkToken: CheckToken }): FastifyPluginAsyncZod {
  return async app => {
    const openDownload = makeDownloads(app)

    const find = async (request: FastifyRequest, id: string): Promise<OwnExport> => {
      const found = await exportSubject.find(personOfRequest(request), id)
      if (found === undefined) throw new Problem('not-found')
      return found
    }
    const send = async (request: FastifyRequest, reply: FastifyReply, { id }: OwnExport): Promise<FastifyReply> => {
      const download = await openDownload(exportSubject.read(personOfRequest(request), showItem))
      return await reply.headers({ 'content-type': ndjson, 'content-disposition': `attachment; filename="my-data-${id}.ndjson"` }).send(download)
    }

    app.post('/v1/me/export', {
      config: { ...config, problems: ['account-required', ...paymentProblems] },
      schema: {
        summary: 'Ask for everything that is held about me',
        tags,
        headers: z.looseObject({ 'verification-token': z.string().optional() }),
        body: z.strictObject({}).nullish(),
        response: { 202: exportShape }
      }
    }, async (request, reply) => {
      const person = personOfRequest(request)
      const payment = await requirePayment(checkToken, request, person, 'data.export', {})
      const outcome = await exportSubject.start(person, payment)
      if (!outcome.started) throw needsVerification(outcome.reason === 'spent' ? 'verification-spent' : 'verification-required')
      return await reply.code(202).header('location', pathOf(outcome.ownExport)).send(show(outcome.ownExport))
    })

    app.get('/v1/me/export/:id', {
      config: { ...config, problems: ['account-required', 'not-found'] },
      schema: { summary: 'An export of mine; the data itself where NDJSON is asked for', tags, params, response: { 200: exportShape } }
    }, async (request, reply) => {
      const found = await find(request, request.params.id)
      return request.headers.accept?.split(',').some(range => range.split(';', 1)[0]?.trim() === ndjson) === true
        ? await send(request, reply, found)
        : await reply.header('vary', 'accept').send(show(found))
    })

    app.get('/v1/me/export/:id/data', {
      config: { ...config, problems: ['account-required', 'not-found'] },
      schema: { summary: 'Download everything that is held about me', tags, params, produces: [ndjson] }
    }, async (request, reply) => await send(request, reply, await find(request, request.params.id)))
  }
}

function pathOf ({ id }: OwnExport): string {
  return `/v1/me/export/${id}`
}

function show (found: OwnExport): z.infer<typeof exportShape> {
  return { id: found.id, status: 'ready', created_at: showTime(found.createdAt), expires_at: showTime(found.expiresAt), download: `${pathOf(found)}/data` }
}

function showItem (item: HeldItem): object {
  const { type } = item
  switch (type) {
    case 'settings': return { type, ...showSettings(item.settings) }
    case 'security': {
      const { twoStep, backupCodes, lockedUntil } = item.security
      return {
        type,
        two_step: { status: twoStep.status, enrolled_at: showTimeOrNull(twoStep.enrolledAt), disable_at: showTimeOrNull(twoStep.disableAt) },
        backup_codes: backupCodes === undefined ? null : { remaining: backupCodes.remaining, generated_at: showTime(backupCodes.generatedAt) },
        locked_until: showTimeOrNull(lockedUntil)
      }
    }
    case 'ledger_entry': return { type, ...item.entry, effective_at: showTime(item.entry.effective_at), recorded_at: showTime(item.entry.recorded_at) }
    case 'security_event': {
      const { mail_to: _, actor_subject: _administrator, ...event } = item.event
      return { type, ...event, at: showTime(event.at), effective_at: showTimeOrNull(event.effective_at) }
    }
    case 'letters_to': return { type, address: item.address, language: item.language }
    case 'erasure':
    case 'team_call': return { type, ...item.record }
    case 'queued_event': return { type, given_up: item.givenUp, ...item.event }
    case 'unreadable_batch': return { type, request_id: item.requestId, received_at: showTime(item.receivedAt) }
    case 'event':
    case 'set_aside_event': return { type, ...item.event }
  }
}

function showSettings ({ revision, account, devices, default: silence }: PrivacySettings): object {
  return {
    revision,
    account: showChoices(account),
    devices: devices.map(device => ({ ...device, last_seen_at: showTimeOrNull(device.last_seen_at), choices: showChoices(device.choices) })),
    default: silence
  }
}

function showChoices (choices: Record<string, ShownChoice>): object {
  return Object.fromEntries(Object.entries(choices).map(([purpose, choice]) => [purpose, { ...choice, since: showTimeOrNull(choice.since) }]))
}

function showTimeOrNull (ms: number | null | undefined): string | null {
  return ms == null ? null : showTime(ms)
}
