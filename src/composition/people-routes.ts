/** Puts together what people use: settings, verification, 2-step verification. */
import type { FastifyPluginAsync } from 'fastify'
import { makeLedgerTable } from '../clickhouse/ledger-table.ts'
import { hmacHex, randomDigits, sameHash, sha256Hex } from '../crypto/keyed-hash.ts'
import { makeBackupCodes } from '../crypto/backup-codes.ts'
import { makeSecretBox } from '../crypto/secret-box.ts'
import { makeVerificationTokens } from '../crypto/verification-tokens.ts'
import { makeChangeSettings } from '../flows/change-settings.ts'
import { makePrepareProof } from '../flows/check-proof.ts'
import { makeManageTwoStep } from '../flows/manage-two-step.ts'
import { makeCheckToken } from '../flows/check-token.ts'
import { makeVerifyPerson } from '../flows/verify-person.ts'
import { makeCursors } from '../http/cursors.ts'
import { myErasureRoutes } from '../http/routes/my-erasure.ts'
import { privacyRoutes } from '../http/routes/privacy.ts'
import { twoStepRoutes } from '../http/routes/two-step.ts'
import { verificationRoutes } from '../http/routes/verification.ts'
import { writeLetter } from '../mail/letters.ts'
import { qrSvg } from '../otp/qr-code.ts'
import { makeTotp } from '../otp/totp.ts'
import { challengeIdFor, makeChallengeStore } from '../redis/challenge-store.ts'
import type { ClickHouse } from '../clickhouse/client.ts'
import { makeAccountSecurity } from './account-security.ts'
import { makeErasureRequests } from './erasures.ts'
import { makeOwnExportRoutes } from './exports.ts'
import type { Parts } from './parts.ts'
import { makeSecurityEventList } from './security-events.ts'

/** What lets a person see and change their settings, and prove that they may. */
export async function makePeopleRoutes (parts: Parts, clickhouse: ClickHouse): Promise<FastifyPluginAsync[]> {
  const { config, catalog, regionalDefault, privacyContact, redis, secrets, box, pepper, consents, devices, postOffice, tell, now, newId } = parts
  const tokens = await makeVerificationTokens(secrets.verificationKeys, now)
  const limited = config.RATE_LIMITS === 'on'
  const codeMac = (challengeId: string, code: string): string => pepper(`code:${challengeId}:${code}`)
  const totp = makeTotp(config.TOTP_ISSUER)
  const backupCodes = makeBackupCodes(pepper)
  const secretBox = makeSecretBox(box, () => { tell('secret-unreadable') })
  const accountSecurity = makeAccountSecurity(parts)
  const checkToken = makeCheckToken({ ...accountSecurity, readToken: tokens.read, digest: sha256Hex })
  const verifyPerson = makeVerifyPerson({
    ...accountSecurity,
    challenges: makeChallengeStore(redis, {
      limited,
      resendMs: limited ? config.EMAIL_RESEND_SECONDS * 1000 : 0,
      sendsPerHourMax: limited ? config.EMAIL_CODES_PER_HOUR : 0,
      sendsPerDayMax: limited ? config.EMAIL_CODES_PER_DAY : 0
    }, newId),
    prepareProof: makePrepareProof({ codeMac, sameMac: sameHash, totp, secretBox, backupCodes, now }),
    mailCode: async ({ to, code, language, expiresAt }) => {
      const minutes = Math.max(1, Math.round((expiresAt - now()) / 60_000))
      await postOffice.post(writeLetter(to, language, { kind: 'verification_code', code, minutes }), expiresAt)
    },
    mintToken: tokens.mint,
    newEmailCode: () => randomDigits(config.EMAIL_CODE_DIGITS),
    newChallengeId: accountId => challengeIdFor(accountId, newId()),
    codeMac,
    digest: sha256Hex,
    emailCodeDigits: config.EMAIL_CODE_DIGITS
  })
  const manageTwoStep = makeManageTwoStep({
    ...accountSecurity,
    totp,
    secretBox,
    backupCodes,
    events: { list: makeSecurityEventList(redis, clickhouse.client) },
    recoveryDelayMs: config.RECOVERY_DELAY ?? (config.production ? 86_400_000 : 0)
  })
  const changeSettings = makeChangeSettings({
    catalog,
    consents,
    devices,
    ledger: makeLedgerTable(clickhouse.client, 5000),
    sealLedger: text => hmacHex(secrets.ledgerKey, text),
    regionalDefault,
    now,
    newId
  })
  const cursors = makeCursors(pepper, sameHash)
  return [
    privacyRoutes({ catalog, changeSettings, checkToken, privacyContact, cursors }),
    twoStepRoutes({ manageTwoStep, checkToken, qrSvg, privacyContact, cursors }),
    ...makeOwnExportRoutes(parts, clickhouse, { changeSettings, manageTwoStep, checkToken }),
    myErasureRoutes({ requestErasure: makeErasureRequests(parts, clickhouse), checkToken }),
    verificationRoutes({ verifyPerson, publicKeys: tokens.publicKeys, resendSeconds: limited ? config.EMAIL_RESEND_SECONDS : 0 })
  ]
}
