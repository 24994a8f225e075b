/** Challenges, the account's failures and locks, and the limits on sending; each step that a race could bend is one script. */
import type { Redis } from 'ioredis'
import { attemptsPerChallenge, challengesPerHourMax, lockAfter, openChallengesMax } from '../domain/verification.ts'
import type { Challenge, ChallengeState, ChallengeStore } from '../flows/challenge-ports.ts'
import { Unavailable } from '../domain/unavailable.ts'
import { accountPartition, keyIn } from './keys.ts'

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
const locks = [5, 10, 15, 20, 25].map(lockAfter)

export function makeChallengeStore (redis: Redis, limits: ChallengeLimits, newId: () => string): ChallengeStore {
  const of = (accountId: string, kind: string): string => keyIn(accountPartition(accountId), kind, accountId)
  const keyOf = (challenge: Pick<Challenge, 'id' | 'accountId'>): string => keyIn(accountPartition(challenge.accountId), 'challenge', challenge.id)

  return guarded({
    async security (accountId) {
      const [version, lockedUntil] = await redis.hmget(of(accountId, 'security'), 'version', 'locked_until')
      return { version: Number(version ?? 0), twoStep: 'off', lockedUntil: lockedUntil == null ? null : Number(lockedUntil) }
    },

    async open (challenge, now) {
      const retryAfterMs = await redis.openChallenge(
        keyOf(challenge), of(challenge.accountId, 'challenges-open'), of(challenge.accountId, 'challenges-opened'),
        now, challenge.id, challenge.expiresAt, challenge.expiresAt + keptAfterMs, JSON.stringify(challenge), attemptsPerChallenge,
        limits.limited ? openChallengesMax : 0, limits.limited ? challengesPerHourMax : 0
      )
      return retryAfterMs > 0 ? { reason: 'too-many-challenges', retryAfterMs } : undefined
    },

    async find (accountId, id, now) {
      const [text, attempts, state, sent] = await redis.hmget(keyOf({ accountId, id }), 'challenge', 'attempts', 'state', 'code')
      if (text == null) return undefined
      const challenge = JSON.parse(text) as Challenge
      const attemptsRemaining = Number(attempts)
      return { challenge, state: stateOf(state ?? '', attemptsRemaining, challenge, now), attemptsRemaining, emailSent: sent != null }
    },

    async cancel (challenge) {
      await redis.multi().del(keyOf(challenge)).zrem(of(challenge.accountId, 'challenges-open'), challenge.id).exec()
    },

    async recordSend (challenge, codeMac, codeExpiresAt, now) {
      const [reason, retryAfterMs] = await redis.recordSend(
        keyOf(challenge), of(challenge.accountId, 'sends'),
        now, codeMac, codeExpiresAt, limits.resendMs, limits.sendsPerHourMax, limits.sendsPerDayMax, newId()
      )
      return reason === 'resend-too-soon' || reason === 'email-quota' ? { reason, retryAfterMs } : undefined
    },

    async reserve (challenge, now) {
      const [answer, number, code] = await redis.reserveAttempt(keyOf(challenge), of(challenge.accountId, 'security'), now, challenge.expiresAt, ...locks)
      if (answer === 'locked') return { reserved: false, reason: 'locked', retryAfterMs: number ?? 0 }
      if (answer === 'reserved') return { reserved: true, challenge, attemptsRemaining: number ?? 0, emailCodeMac: code === '' ? null : code ?? null }
      return { reserved: false, reason: answer as 'unknown' | 'verified' | 'expired' | 'exhausted' }
    },

    async succeed (challenge, emailCodeMac) {
      return await redis.succeedAttempt(
        keyOf(challenge), of(challenge.accountId, 'security'), of(challenge.accountId, 'challenges-open'), challenge.id, emailCodeMac ?? ''
      ) === 1
    }
  })
}

function stateOf (stored: string, attemptsRemaining: number, challenge: Challenge, now: number): ChallengeState {
  if (stored !== 'open') return stored as ChallengeState
  if (now >= challenge.expiresAt) return 'expired'
  return attemptsRemaining <= 0 ? 'exhausted' : 'open'
}

/** A store that cannot be reached says so in one way: verification is unavailable, which is never a yes. */
function guarded (store: ChallengeStore): ChallengeStore {
  const guard = <Arguments extends unknown[], Result> (step: (...args: Arguments) => Promise<Result>) => async (...args: Arguments): Promise<Result> => {
    try {
      return await step(...args)
    } catch (cause) {
      throw new Unavailable('verification', { cause })
    }
  }
  return {
    security: guard(store.security),
    open: guard(store.open),
    find: guard(store.find),
    cancel: guard(store.cancel),
    recordSend: guard(store.recordSend),
    reserve: guard(store.reserve),
    succeed: guard(store.succeed)
  }
}
