/** Challenges and the limits on sending; each step that a race could bend is one script. */
import type { RedisClient } from './servers.ts'
import { attemptsPerChallenge, authenticatorFailuresMax, challengesPerHourMax, lockAfter, openChallengesMax } from '../domain/verification.ts'
import type { Challenge, ChallengeState, ChallengeStore, Ended, Evidence } from '../flows/verification-ports.ts'
import { accountPartition, keyIn, partitionCount } from './keys.ts'
import { orUnavailable } from './unavailable.ts'

export interface ChallengeLimits {
  /** Whether the limits on opening hold. */
  limited: boolean
  /** 0 lifts a limit. */
  resendMs: number
  sendsPerHourMax: number
  sendsPerDayMax: number
}

/** An ended challenge is kept this long, to say what became of it. */
const keptAfterMs = 3_600_000
/** No look at a code takes so long: a lock that has not been told of by then is told of by the writer. */
const lookMs = 60_000
const locks = [5, 10, 15, 20, 25].map(lockAfter)

/** An id for a challenge of an account: it starts with the account's partition, so that the id alone finds it. */
export function challengeIdFor (accountId: string, uuid: string): string {
  return `${accountPartition(accountId).toString(16)}-${uuid}`
}

export function makeChallengeStore (redis: RedisClient, limits: ChallengeLimits, newId: () => string): ChallengeStore {
  const of = (challenge: Challenge, kind: string): string => keyIn(accountPartition(challenge.accountId), kind, challenge.accountId)
  const keyOf = ({ accountId, id }: Challenge): string => keyIn(accountPartition(accountId), 'challenge', id)

  return orUnavailable<ChallengeStore>('verification', {
    async open (challenge, mailTo, now) {
      const retryAfterMs = await redis.openChallenge(
        keyOf(challenge), of(challenge, 'challenges-open'), of(challenge, 'challenges-opened'), of(challenge, 'security'),
        now, challenge.id, challenge.expiresAt, challenge.expiresAt + keptAfterMs, JSON.stringify(challenge), attemptsPerChallenge,
        limits.limited ? openChallengesMax : 0, limits.limited ? challengesPerHourMax : 0, mailTo ?? ''
      )
      return retryAfterMs > 0 ? { reason: 'too-many-challenges', retryAfterMs } : undefined
    },

    async find (id, now) {
      const partition = Number.parseInt(id, 16)
      if (!/^[0-9a-f]-/.test(id) || partition >= partitionCount) return undefined
      const [text, attempts, state, sent] = await redis.hmget(keyIn(partition, 'challenge', id), 'challenge', 'attempts', 'state', 'code')
      if (text == null) return undefined
      const challenge = JSON.parse(text) as Challenge
      const attemptsRemaining = Number(attempts)
      return { challenge, state: stateOf(state ?? '', attemptsRemaining, challenge, now), attemptsRemaining, emailSent: sent != null }
    },

    async cancel (challenge) {
      await redis.multi().del(keyOf(challenge)).zrem(of(challenge, 'challenges-open'), challenge.id).exec()
    },

    async withdraw (challenge) {
      await redis.multi().del(keyOf(challenge)).zrem(of(challenge, 'challenges-open'), challenge.id).zrem(of(challenge, 'challenges-opened'), challenge.id).exec()
    },

    async recordSend (challenge, codeMac, codeExpiresAt, now) {
      const [reason, retryAfterMs] = await redis.recordSend(
        keyOf(challenge), of(challenge, 'sends'), of(challenge, 'security'),
        now, codeMac, codeExpiresAt, limits.resendMs, limits.sendsPerHourMax, limits.sendsPerDayMax, newId(), challenge.expiresAt,
        challenge.securityVersion
      )
      if (reason === 'resend-too-soon' || reason === 'email-quota') return { reason, retryAfterMs }
      return reason === 'sent' ? undefined : { reason: reason as Ended }
    },

    async reserve (challenge, method, now) {
      const [answer, number = 0, code = '', toTell = 0] = await redis.reserveAttempt(
        keyOf(challenge), of(challenge, 'security'), of(challenge, 'challenges-open'), keyIn(accountPartition(challenge.accountId), 'security-due'),
        now, challenge.id, challenge.expiresAt, challenge.securityVersion, challenge.accountId, method, authenticatorFailuresMax, now + lookMs, ...locks
      )
      if (answer === 'locked') return { reserved: false, reason: 'locked', retryAfterMs: number }
      if (answer !== 'reserved') return { reserved: false, reason: answer as Ended | 'suspended' }
      return { reserved: true, attemptsRemaining: number, emailCodeMac: code === '' ? null : code, toTell: toTell === 1 }
    },

    async succeed (challenge, evidence, mailTo, events) {
      const backupCodesLeft = await redis.succeedAttempt(
        keyOf(challenge), of(challenge, 'security'), of(challenge, 'challenges-open'), keyIn(accountPartition(challenge.accountId), 'security-log'),
        challenge.id, challenge.securityVersion, mailTo ?? '', evidence.method, ...argumentsOf(evidence), ...events.map(event => JSON.stringify(event))
      )
      return backupCodesLeft < 0 ? undefined : { backupCodesLeft }
    }
  })
}

/** Two arguments whatever the method, as the script counts them. */
function argumentsOf (evidence: Evidence): [string | number, string] {
  if (evidence.method === 'email') return [evidence.codeMac, '']
  if (evidence.method === 'totp') return [evidence.step, evidence.resealedSecret ?? '']
  return [evidence.slot, evidence.hash]
}

function stateOf (stored: string, attemptsRemaining: number, challenge: Challenge, now: number): ChallengeState {
  if (stored !== 'open') return stored as ChallengeState
  if (now >= challenge.expiresAt) return 'expired'
  return attemptsRemaining <= 0 ? 'exhausted' : 'open'
}
