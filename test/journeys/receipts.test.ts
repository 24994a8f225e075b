import { randomUUID } from 'node:crypto'
import { compactVerify, createLocalJWKSet, decodeProtectedHeader, type JWK } from 'jose'
import t from 'tap'
import { signIn } from '../support/api.ts'
import { because } from '../support/exports.ts'
import { isProblem } from '../support/problems.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService(t, { PRIVACY_CONTACT: 'privacy@maker.example', CONTROLLER_NAME: 'Maker Ltd' })
const reader = await service.token({ sub: 'rita', scope: 'privacy:read' })
const ada = await signIn(service, 'ada')
const ben = await signIn(service, 'ben', 'product_analytics')

const own = async (entryId: string, token = ada.token) => await service.call('GET', `/v1/me/privacy/history/${entryId}/receipt`, { token })
const teams = async (entryId: string, query = '', token = reader) => await service.call('GET', `/v1/privacy/ledger/${entryId}/receipt${query}`, { token, headers: because })
const newest = async (token: string): Promise<Record<string, any>> => (await service.call('GET', '/v1/me/privacy/history?limit=1', { token })).body['entries'][0]
const choose = async (decision: string, fields: Record<string, unknown> = {}): Promise<string> =>
  (await service.change(ada.token, ada.email, { account: { content_insights: decision }, ...fields })).body['entries'][0]
const keys = createLocalJWKSet((await service.call<{ keys: JWK[] }>('GET', '/.well-known/jwks.json')).body)

t.test('a receipt says who agreed to what, why, told by which notice, and how to take it back', async t => {
  const entryId = await choose('granted', { notice_version: '2026-01' })
  const { status, body } = await own(entryId)
  const entry = await newest(ada.token)
  const { notices } = (await service.call('GET', '/v1/catalog')).body
  t.equal(status, 200)
  t.match(body['receipt'], {
    record_metadata: { schema_version: 'ISO/IEC TS 27560:2023', record_id: entryId, receipt_id: /^[0-9a-f-]{36}$/, issued_at: /Z$/, pii_principal_id: 'ada', pii_principal_kind: 'account' },
    pii_processing: {
      privacy_notice: { version: '2026-01', published: true, title: notices[0].title, sha256: /^[0-9a-f]{64}$/, named_by: 'person' },
      purposes: [{
        purpose: 'content_insights', purpose_title: 'Learning from your files', purpose_type: 'optional', lawful_basis: 'Consent, GDPR Art. 6(1)(a)', scope: 'account',
        pii_controllers: ['controller'], data_on_withdrawal: 'keep', withdrawal_method: ['POST /v1/me/privacy/stop', 'PATCH /v1/me/privacy'],
        privacy_rights: [{ right: 'withdrawal' }, { right: 'access and portability', exercised_at: '/v1/me/export' }, { right: 'erasure', exercised_at: '/v1/me/erasure' }]
      }]
    },
    party_identification: [{ party_id: 'controller', party_role: 'PII controller', party_name: 'Maker Ltd', party_email: 'privacy@maker.example' }],
    events: [{ event_time: entry['effective_at'], event_type: 'explicit_consent', event_state: 'consent_given', entity_id: 'user', verified_by: 'email' }],
    proof: { ledger_revision: 1, hash: entry['hash'], prev_hash: entry['prev_hash'] }
  })
  t.match(body['ledger_head'], { entries: Number, position: String })
})

t.test('a receipt lists the events of its purpose, and of other events the fields that are', async t => {
  const { events } = (await service.call('GET', '/v1/catalog')).body
  const listed = (await own((await newest(ada.token))['entry_id'])).body['receipt'].pii_processing.purposes[0].pii_information as Array<Record<string, any>>
  const names = (of: Array<Record<string, any>>): string[] => of.map(({ name, pii_type: type, version }) => `${String(name ?? type)} ${String(version)}`).sort()
  t.same(names(listed.filter(({ only }) => only === undefined)), names(events.filter((event: Record<string, any>) => event['purpose'] === 'content_insights')))
  const gated = listed.filter(({ only }) => only !== undefined)
  t.ok(gated.length > 0 && gated.every(({ only }) => only.every((pointer: string) => pointer.startsWith('/'))))
  const declares = ({ schema }: Record<string, any>): boolean => JSON.stringify(schema).includes('"x-purpose":"content_insights"')
  t.same(names(gated), names(events.filter((event: Record<string, any>) => event['purpose'] !== 'content_insights' && declares(event))))
})

t.test('a refusal, a withdrawal and a cleared choice are told apart', async t => {
  const event = async (entryId: string): Promise<Record<string, any>> => (await own(entryId)).body['receipt'].events[0]
  t.match(await event(await choose('denied')), { event_type: 'withdrawal', event_state: 'consent_withdrawn' })
  const patch = { devices: { 'pc-ada': { diagnostics: 'denied' } } }
  const refused = (await service.change(ada.token, ada.email, patch)).body['entries'][0]
  t.match(await event(refused), { event_type: 'refusal', event_state: 'consent_refused' })
  t.match((await own(refused)).body['receipt'].pii_processing.purposes[0], { purpose: 'diagnostics', scope: 'device', device_id: 'pc-ada' })
  const cleared = (await service.change(ada.token, ada.email, { devices: { 'pc-ada': { diagnostics: 'cleared' } } })).body['entries'][0]
  t.match(await event(cleared), { event_type: 'choice_cleared', event_state: 'no_choice' })
  t.notOk('validity_duration' in await event(cleared))
})

t.test('a notice that nobody published is named as such; where none was named the one in force counts', async t => {
  const notice = async (entryId: string): Promise<unknown> => (await own(entryId)).body['receipt'].pii_processing.privacy_notice
  t.same(await notice(await choose('granted', { notice_version: 'never' })), { version: 'never', published: false })
  t.match(await notice(await choose('denied')), { version: '2026-01', published: true, named_by: 'time' })
})

t.test('a receipt of a device that nobody is signed in to says how that device takes it back', async t => {
  const token = await service.token({ sub: 'device:kiosk', device_id: 'kiosk' })
  const { body } = await service.call('PUT', '/v1/devices/kiosk/privacy', { token, body: { diagnostics: 'granted' } })
  t.match((await teams(body['entries'][0])).body['receipt'], {
    record_metadata: { pii_principal_id: 'kiosk', pii_principal_kind: 'device' },
    pii_processing: { purposes: [{ withdrawal_method: ['PUT /v1/devices/kiosk/privacy'] }] },
    events: [{ entity_id: 'device' }]
  })
})

t.test('a receipt is signed by a published key, whole', async t => {
  const { body } = await own((await newest(ada.token))['entry_id'])
  const signature = body['signature'] as string
  t.match(decodeProtectedHeader(signature), { alg: 'EdDSA', typ: 'consent-receipt+jws', kid: String })
  const { payload } = await compactVerify(signature, keys)
  t.same(JSON.parse(new TextDecoder().decode(payload)), body['receipt'])
  const [head, , tail] = signature.split('.')
  const altered = { ...body['receipt'], record_metadata: { ...body['receipt'].record_metadata, pii_principal_id: 'ben' } }
  await t.rejects(compactVerify([head, Buffer.from(JSON.stringify(altered)).toString('base64url'), tail].join('.'), keys))
  const { body: used } = await service.call('GET', '/v1/me/privacy', { token: ada.token })
  const answer = await service.call('PATCH', '/v1/me/privacy', {
    token: ada.token, body: { account: { diagnostics: 'granted' } }, headers: { 'if-match': `"${String(used['revision'])}"`, 'verification-token': signature }
  })
  isProblem(t, answer, 401, 'verification-required', '/v1/me/privacy', 'a receipt pays for nothing')
})

t.test('a person gets receipts of their own entries, the team of all', async t => {
  const { entry_id: entryId } = await newest(ben.token)
  const path = `/v1/me/privacy/history/${String(entryId)}/receipt`
  isProblem(t, await own(entryId), 404, 'not-found', path)
  t.equal((await own(entryId, ben.token)).status, 200)
  t.match((await teams(entryId)).body['receipt'].record_metadata, { record_id: entryId, pii_principal_id: 'ben' })
  t.equal((await teams(entryId, '?account_id=ben')).status, 200)
  t.equal((await teams(entryId, '?account_id=ada')).status, 404)
  t.equal((await teams(randomUUID())).status, 404)
  t.match((await teams('1')).body, { type: '/problems/invalid-request', errors: [{ pointer: '/entry_id' }] })
  t.match((await own('1')).body, { type: '/problems/invalid-request', errors: [{ pointer: '/entry_id' }] })
  t.match((await teams(entryId, '?account=ada')).body, { type: '/problems/invalid-request' })
})

t.test('each is for its own scope', async t => {
  const { entry_id: entryId } = await newest(ben.token)
  t.equal((await teams(entryId, '', ben.token)).status, 403)
  t.equal((await own(entryId, reader)).status, 403)
  t.equal((await teams(entryId, '', await service.token({ sub: 'adam', scope: 'privacy:admin' }))).status, 200)
  t.equal((await service.call('GET', `/v1/privacy/ledger/${String(entryId)}/receipt`, { token: reader })).status, 400, 'the team says why')
  isProblem(t, await own(entryId, await service.token({ sub: 'device:kiosk', device_id: 'kiosk' })), 403, 'account-required', `/v1/me/privacy/history/${String(entryId)}/receipt`)
})
