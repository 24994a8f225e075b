/** How each account is protected: factors, failures, locks. Every change is one script, with its log entry and its token. */
import { serversOf, type RedisClient } from './servers.ts'
import { attemptsPerEnrolment, backupCodeSymbols } from '../domain/verification.ts'
import type { SecurityEvent } from '../domain/security-event.ts'
import type { AccountSecurity, DueLook, Enrolment, SealedKind, SecurityStore, SecurityWrite } from '../flows/verification-ports.ts'
import type { SpentToken } from '../flows/ports.ts'
import { accountPartition, keyIn, partitionCount } from './keys.ts'
import { orUnavailable } from './unavailable.ts'

interface Plan {
  token?: SpentToken | undefined
  expect?: Record<string, string>
  set?: Record<string, string | number>
  remove?: string[]
  raise?: boolean
  open?: Enrolment
  close?: Enrolment
  due?: DueLook
}

const backupFields = Array.from(backupCodeSymbols, slot => `backup:${slot}`)
const factorFields = ['totp', 'totp_step', 'enrolled_at', 'disable_at', 'generated_at', 'totp_failures', 'suspended', 'suspension_untold', ...backupFields]
const failureFields = ['failures', 'locked_until', 'lock_untold']
const sealedFields: Readonly<Record<SealedKind, string>> = { authenticator: 'totp', address: 'mail_to' }
/** A confirmed or expired enrolment is kept this long, to say what became of it. */
const keptAfterMs = 3_600_000
const looksMax = 100

export function makeSecurityStore (redis: RedisClient): SecurityStore {
  const keyOf = (accountId: string): string => keyIn(accountPartition(accountId), 'security', accountId)
  const enrolmentKey = (accountId: string, id: string): string => keyIn(accountPartition(accountId), 'enrolment', `${accountId}:${id}`)

  const write = async (accountId: string, plan: Plan, events: readonly SecurityEvent[]): Promise<SecurityWrite> => {
    const partition = accountPartition(accountId)
    const { token, open, close } = plan
    const outcome = await redis.writeSecurity(
      keyOf(accountId), keyIn(partition, 'spent', token?.jti ?? ''), keyIn(partition, 'security-log'), enrolmentKey(accountId, (open ?? close)?.id ?? ''),
      keyIn(partition, 'challenges-open', accountId), keyIn(partition, 'security-due'),
      JSON.stringify({
        ...(token === undefined ? {} : { token: { jti: token.jti, seconds: token.forgetInSeconds, version: String(token.securityVersion) } }),
        expect: plan.expect ?? {},
        set: plan.set ?? {},
        remove: plan.remove ?? [],
        raise: plan.raise ?? false,
        ...(open === undefined ? {} : { open: { enrolment: JSON.stringify(open), state: 'open', attempts: attemptsPerEnrolment, expires: open.expiresAt }, keep_until: open.expiresAt + keptAfterMs }),
        close: close !== undefined,
        ...(plan.due === undefined ? {} : { due: { at: plan.due.at, member: memberOf(plan.due) } })
      }),
      ...events.map(event => JSON.stringify(event))
    )
    return outcome as SecurityWrite
  }
  const codeFields = (hashes: Readonly<Record<string, string>>, now: number): Record<string, string | number> =>
    ({ generated_at: now, ...Object.fromEntries(Object.entries(hashes).map(([slot, hash]) => [`backup:${slot}`, hash])) })

  return orUnavailable<SecurityStore>('verification', {
    read: async accountId => securityOf(await redis.hgetall(keyOf(accountId))),

    startEnrolment: async (enrolment, token) => await write(enrolment.accountId, { token, open: enrolment }, []),

    async findEnrolment (accountId, id) {
      const text = await redis.hget(enrolmentKey(accountId, id), 'enrolment')
      return text === null ? undefined : JSON.parse(text) as Enrolment
    },

    async reserveEnrolment (accountId, id, now) {
      const [answer, attemptsRemaining = 0, text = ''] = await redis.reserveEnrolment(enrolmentKey(accountId, id), now)
      if (answer === 'reserved') return { reserved: true as const, enrolment: JSON.parse(text) as Enrolment, attemptsRemaining }
      return { reserved: false as const, reason: answer as 'unknown' | 'confirmed' | 'expired' | 'exhausted' }
    },

    // The version says that no factor has changed since the enrolment began.
    confirmEnrolment: async (enrolment, step, hashes, events, now) => await write(enrolment.accountId, {
      expect: { version: enrolment.securityVersion === 0 ? '' : String(enrolment.securityVersion) },
      remove: [...factorFields, ...failureFields],
      set: { totp: enrolment.sealedSecret, totp_step: step, enrolled_at: now, ...codeFields(hashes, now) },
      raise: true,
      close: enrolment
    }, events),

    disable: async (accountId, { token, disableAt }, events) => await write(accountId, {
      token,
      expect: disableAt === undefined ? {} : { disable_at: String(disableAt) },
      remove: [...factorFields, ...failureFields],
      raise: true
    }, events),

    scheduleDisable: async (accountId, disableAt, token, events) =>
      await write(accountId, { token, set: { disable_at: disableAt }, due: { accountId, what: 'disable', at: disableAt } }, events),

    cancelDisable: async (accountId, events) => await write(accountId, { remove: ['disable_at'] }, events),

    replaceBackupCodes: async (accountId, hashes, token, events, now) =>
      await write(accountId, { token, remove: backupFields, set: codeFields(hashes, now), raise: true }, events),

    unlock: async (accountId, events) =>
      await write(accountId, { remove: [...failureFields, 'totp_failures', 'suspended', 'suspension_untold'] }, events),

    async tellFailures (accountId, { lock, suspension }) {
      await redis.tellFailures(
        keyOf(accountId), keyIn(accountPartition(accountId), 'security-log'),
        lock === undefined ? '' : String(lock.until), lock === undefined ? '' : JSON.stringify(lock.event), suspension === undefined ? '' : JSON.stringify(suspension)
      )
    },

    async due (now) {
      const looks = await Promise.all(Array.from({ length: partitionCount }, async (_, partition) =>
        (await redis.zrangebyscore(keyIn(partition, 'security-due'), '-inf', now, 'LIMIT', 0, looksMax)).map(lookOf)))
      return looks.flat()
    },

    async looked (look) {
      await redis.zrem(keyIn(accountPartition(look.accountId), 'security-due'), memberOf(look))
    },

    reseal: async (accountId, kind, before, after) =>
      await write(accountId, { expect: { [sealedFields[kind]]: before }, set: { [sealedFields[kind]]: after } }, []),

    async noteManaged (accountId, managed) {
      await write(accountId, managed ? { set: { managed: '1' } } : { remove: ['managed'] }, [])
    }
  })
}

/** Every account that something is known of, in no order, some perhaps twice. */
export async function * securedAccounts (redis: RedisClient): AsyncIterable<string> {
  for (const server of serversOf(redis)) {
    for await (const keys of server.scanStream({ match: keyIn(0, 'security', '*').replace('{0}', '{*}'), count: 500 })) {
      for (const key of keys as string[]) yield key.replace(/^assent:\{[0-9]+\}:security:/, '')
    }
  }
}

/** It names its time, so that taking it out never takes out a later one of the same account. */
function memberOf ({ what, at, accountId }: DueLook): string {
  return `${what}:${String(at)}:${accountId}`
}

function lookOf (member: string): DueLook {
  const [what = '', at = ''] = member.split(':', 2)
  return { what: what as DueLook['what'], at: Number(at), accountId: member.slice(what.length + at.length + 2) }
}

function securityOf (stored: Record<string, string>): AccountSecurity {
  const number = (field: string): number | null => stored[field] === undefined ? null : Number(stored[field])
  const hashes = Object.fromEntries(Object.entries(stored).flatMap(([field, hash]) => field.startsWith('backup:') ? [[field.slice(7), hash]] : []))
  const generatedAt = number('generated_at')
  return {
    version: number('version') ?? 0,
    totp: stored['totp'] === undefined ? null : { sealedSecret: stored['totp'], lastStep: number('totp_step') ?? 0, enrolledAt: number('enrolled_at') ?? 0 },
    suspended: stored['suspended'] !== undefined,
    backupCodes: generatedAt === null ? null : { hashes, generatedAt },
    disableAt: number('disable_at'),
    lockedUntil: number('locked_until'),
    lockUntold: number('lock_untold'),
    suspensionUntold: stored['suspension_untold'] !== undefined,
    mailTo: stored['mail_to'] ?? null,
    managed: stored['managed'] !== undefined
  }
}
