import t from 'tap'
import { signIn } from '../support/api.ts'
import { isProblem } from '../support/problems.ts'
import { startTestService } from '../support/service.ts'
import { joinTeam } from '../support/team.ts'
import { developmentKey, encodePart, makeToken, rightClaims } from '../support/tokens.ts'

const service = await startTestService(t)
const ada = await signIn(service, 'ada', 'diagnostics')
const verification = await service.verify(ada.token, ada.email, 'privacy.update')
const erase = async (token: string, proof?: string) =>
  await service.call('POST', '/v1/me/erasure', { token, headers: proof === undefined ? {} : { 'verification-token': proof } })

t.test('a token is good for nothing but what it was made for', async t => {
  const { body: { entries } } = await service.call('GET', '/v1/me/privacy/history', { token: ada.token })
  const team = await joinTeam(service)
  const { body: { signature: receipt } } = await team.ask(`ledger/${String(entries[0].entry_id)}/receipt`)
  t.match(receipt, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  for (const [about, token] of [['a verification token', verification], ['a receipt', receipt as string]] as const) {
    isProblem(t, await service.call('GET', '/v1/me/privacy', { token }), 401, 'invalid-token', '/v1/me/privacy', `${about} is no access token`)
  }
  for (const [about, proof] of [['an access token', ada.token], ['a receipt', receipt as string]] as const) {
    isProblem(t, await erase(ada.token, proof), 401, 'verification-required', '/v1/me/erasure', `${about} is no verification token`)
  }
  isProblem(t, await erase(ada.token, verification), 403, 'verification-mismatch', '/v1/me/erasure', 'a proof for something else')

  // The same claims, signed by a key that is believed, only not for this.
  const { kid, privateKey } = await developmentKey(service.dataDir)
  const claims = JSON.parse(Buffer.from(verification.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
  const forged = makeToken({ alg: 'EdDSA', typ: 'verification+jwt', kid }, { ...claims, purpose: 'data.erase' }, privateKey)
  isProblem(t, await erase(ada.token, forged), 401, 'verification-required', '/v1/me/erasure', 'an access token\'s issuer proves nothing')
})

t.test('a token that is remembered is remembered to its last character', async t => {
  const { kid, privateKey } = await developmentKey(service.dataDir)
  const token = makeToken({ alg: 'EdDSA', typ: 'JWT', kid }, rightClaims({ sub: 'bob' }), privateKey)
  const ask = async (altered: string) => await service.call('GET', '/v1/me/privacy', { token: altered })
  for (let time = 0; time < 3; time++) t.equal((await ask(token)).status, 200)
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const other = signature.startsWith('A') ? 'B' : 'A'
  const altered = [
    `${header}.${encodePart(rightClaims({ sub: 'ada' }))}.${signature}`, `${header}.${payload}.${other}${signature.slice(1)}`, `${header}.${payload}.`, `${header}.${payload}`, token.slice(0, -2)
  ]
  for (const wrong of altered) isProblem(t, await ask(wrong), 401, 'invalid-token', '/v1/me/privacy', wrong.slice(-20))
  t.equal((await ask(token)).status, 200)
})
