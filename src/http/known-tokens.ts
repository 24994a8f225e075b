/** Callers by the whole text of their token, so that a busy client's token is verified once in a while, not at every request. */
import type { Caller } from '../domain/caller.ts'

export interface KnownTokens {
  /** The caller of a token that was verified a moment ago and has not expired. */
  find: (token: string) => Caller | undefined
  /** `expiresAt`: of the token, epoch ms. */
  remember: (token: string, caller: Caller, expiresAt: number) => void
}

const rememberedMax = 10_000
/** How long a key that its issuer takes back may still be believed here. */
const rememberedMs = 30_000

export function makeKnownTokens (now: () => number): KnownTokens {
  const known = new Map<string, { caller: Caller, until: number }>()
  return {
    find (token) {
      const found = known.get(token)
      if (found === undefined) return undefined
      if (now() < found.until) return found.caller
      known.delete(token)
      return undefined
    },
    remember (token, caller, expiresAt) {
      const [oldest] = known.keys()
      if (known.size >= rememberedMax && oldest !== undefined) known.delete(oldest)
      known.set(token, { caller, until: Math.min(expiresAt, now() + rememberedMs) })
    }
  }
}
