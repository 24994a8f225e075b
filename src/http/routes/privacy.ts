/** Where people see and change what they agree to. */
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Catalog } from '../../domain/catalog.ts'
import type { LedgerEntry } from '../../domain/ledger.ts'
import type { ChangeSettings, PatchRefusal, PrivacySettings, SettingsPatch, ShownChoice } from '../../flows/change-settings.ts'
import type { CheckToken } from '../../flows/check-token.ts'
import { callerOfRequest, personOfRequest } from '../auth.ts'
import type { Cursors } from '../cursors.ts'
import { Problem } from '../problem.ts'
import { deviceIdShape, pageShape, showTime, shownTime } from '../shapes.ts'
import { needsVerification, paymentProblems, requirePayment } from '../verification.ts'
import { purposeShape, showPurpose } from './catalog.ts'

export interface PrivacyRouteOptions {
  catalog: Catalog
  changeSettings: ChangeSettings
  checkToken: CheckToken
  privacyContact: string
  cursors: Cursors
}

const purposeName = z.string().min(1).max(64)
const choices = z.record(purposeName, z.enum(['granted', 'denied'])).refine(value => Object.keys(value).length <= 100, 'has too many members')
const patchShape = z.strictObject({
  account: choices.optional(),
  devices: z.record(deviceIdShape, z.record(purposeName, z.enum(['granted', 'denied', 'cleared']))).refine(value => Object.keys(value).length <= 100, 'has too many members').optional(),
  notice_version: z.string().regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 printable ASCII characters').optional()
})
const shownChoices = z.record(z.string(), z.object({ state: z.enum(['absent', 'granted', 'denied']), since: shownTime.nullable() }))
const settingsShape = z.object({
  revision: z.int(),
  purposes: z.array(purposeShape.extend({ changeable: z.boolean(), managed_by: z.literal('organization').optional() })),
  account: shownChoices,
  devices: z.array(z.object({ device_id: z.string(), products: z.array(z.string()), last_seen_at: shownTime.nullable(), choices: shownChoices })),
  default: z.enum(['granted', 'denied']),
  contact: z.string()
})
const changedShape = settingsShape.extend({ entries: z.array(z.string()) })
const tags = ['people']
/** More than anybody has to withdraw at once. */
const denialsMax = 1000

export function privacyRoutes ({ catalog, changeSettings, checkToken, privacyContact, cursors }: PrivacyRouteOptions): FastifyPluginAsyncZod {
  const answer = async (reply: FastifyReply, settings: PrivacySettings, entries?: string[]): Promise<FastifyReply> =>
    await reply.header('etag', `"${String(settings.revision)}"`).send({
      revision: settings.revision,
      purposes: catalog.purposes.map(purpose => ({
        ...showPurpose(purpose),
        changeable: !purpose.required,
        // Whatever the person chooses: their choice counts again when the organisation lifts that.
        ...(settings.switchedOff.includes(purpose.id) ? { managed_by: 'organization' } : {})
      })),
      account: showChoices(settings.account),
      devices: settings.devices.map(device => ({
        ...device,
        last_seen_at: device.last_seen_at === null ? null : showTime(device.last_seen_at),
        choices: showChoices(device.choices)
      })),
      default: settings.default,
      contact: privacyContact,
      ...(entries === undefined ? {} : { entries })
    })

  const refuse = (refusal: PatchRefusal): Problem => {
    if (refusal === 'unknown-device') return new Problem('not-found', { detail: 'This is not one of your devices.' })
    return new Problem(refusal, { members: { contact: privacyContact } })
  }

  return async app => {
    app.get('/v1/me/privacy', {
      config: { scope: 'settings', problems: ['account-required'] },
      schema: { summary: 'What I agree to', tags, response: { 200: settingsShape } }
    }, async (request, reply) => await answer(reply, await changeSettings.read(personOfRequest(request))))

    app.patch('/v1/me/privacy', {
      config: {
        unlimited: onlyDenies,
        scope: 'settings',
        unavailable: 'verification-unavailable',
        problems: ['account-required', 'not-found', 'precondition-required', 'revision-mismatch', 'purpose-not-changeable', 'unknown-purpose', ...paymentProblems]
      },
      schema: {
        summary: 'Change what I agree to',
        tags,
        headers: z.looseObject({ 'if-match': z.string().optional(), 'verification-token': z.string().optional() }),
        body: patchShape,
        response: { 200: changedShape }
      }
    }, async (request, reply) => {
      const person = personOfRequest(request)
      const patch: SettingsPatch = request.body
      const expected = expectedRevision(request)
      const refusal = await changeSettings.findRefusal(person, patch)
      if (refusal !== undefined) throw refuse(refusal)
      const payment = await requirePayment(checkToken, request, person, 'privacy.update', patch)
      const outcome = await changeSettings.patch(person, patch, expected, payment)
      if (outcome.changed) return await answer(reply, outcome.settings, outcome.entries)
      if (outcome.reason === 'revision-mismatch') throw new Problem('revision-mismatch')
      throw needsVerification(outcome.reason === 'verification-spent' ? 'verification-spent' : 'verification-required')
    })

    await app.register(async stopping => {
      // A no is heard whatever a client sends along with it: many say that they send JSON, and send nothing.
      stopping.removeAllContentTypeParsers()
      stopping.addContentTypeParser('*', (_request: unknown, body: Readable, done: (error: null) => void) => {
        body.resume()
        done(null)
      })
      stopping.post('/v1/me/privacy/stop', {
        config: { scope: 'settings', unlimited: true, problems: ['account-required'] },
        schema: { summary: 'Stop all optional collection, at once', tags, response: { 200: changedShape } }
      }, async (request, reply) => {
        const { settings, entries } = await changeSettings.stop(personOfRequest(request))
        return await answer(reply, settings, entries)
      })
    })

    app.get('/v1/me/privacy/history', {
      config: { scope: 'settings', problems: ['account-required'] },
      schema: {
        summary: 'What I agreed to, and when; newest first',
        tags,
        querystring: pageShape,
        response: { 200: z.object({ entries: z.array(z.record(z.string(), z.unknown())), next_cursor: z.string().optional() }) }
      }
    }, async request => {
      const person = personOfRequest(request)
      const { limit = 50, cursor } = request.query
      const entries = await changeSettings.history(person, limit, cursors.readFrom(cursor, `history:${person.accountId}`))
      const last = entries.at(-1)
      const more = entries.length === limit && last !== undefined && last.revision > 1
      return { entries: entries.map(showEntry), ...(more ? { next_cursor: cursors.write(last.revision, `history:${person.accountId}`) } : {}) }
    })

    app.put('/v1/devices/:device_id/privacy', {
      config: { scope: 'settings', unlimited: (body: unknown) => onlyDenies({ account: body }), problems: ['not-found', 'purpose-not-changeable', 'unknown-purpose'] },
      schema: {
        summary: 'Choose on a device while nobody is signed in',
        tags,
        params: z.strictObject({ device_id: deviceIdShape }),
        body: choices.refine(value => Object.keys(value).length > 0, 'must name a purpose'),
        response: { 200: z.object({ device_id: z.string(), revision: z.int(), choices: shownChoices, entries: z.array(z.string()) }) }
      }
    }, async request => {
      const caller = callerOfRequest(request)
      if (caller.accountId !== undefined || caller.deviceId !== request.params.device_id) throw new Problem('not-found', { detail: 'The token is not this device\'s.' })
      const refusal = changeSettings.findDeviceRefusal(Object.keys(request.body))
      if (refusal !== undefined) throw refuse(refusal)
      const { revision, choices: now, entries } = await changeSettings.changeDevice(request.params.device_id, request.body)
      return { device_id: request.params.device_id, revision, choices: showChoices(now), entries }
    })
  }
}

/** Whether a change withdraws and does nothing else: that is never held up. It is asked of whatever was sent. */
function onlyDenies (patch: unknown): boolean {
  const { account, devices } = membersOf(patch)
  const states = [account, ...Object.values(membersOf(devices))].flatMap(choices => Object.values(membersOf(choices)))
  return states.length > 0 && states.length <= denialsMax && states.every(state => state === 'denied')
}

function membersOf (value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {}
}

/** The revision in If-Match; one that no settings ever had for an ETag of another form. */
function expectedRevision (request: FastifyRequest): number {
  const ifMatch = request.headers['if-match']
  if (ifMatch === undefined) throw new Problem('precondition-required')
  return Number(/^"([0-9]{1,15})"$/.exec(ifMatch)?.[1] ?? -1)
}

function showChoices (choices: Record<string, ShownChoice>): Record<string, { state: ShownChoice['state'], since: string | null }> {
  return Object.fromEntries(Object.entries(choices).map(([purpose, { state, since }]) => [purpose, { state, since: since === null ? null : showTime(since) }]))
}

/** An entry as it stands in answers. */
export function showEntry (entry: LedgerEntry): Record<string, unknown> {
  return { ...entry, effective_at: showTime(entry.effective_at), recorded_at: showTime(entry.recorded_at) }
}
