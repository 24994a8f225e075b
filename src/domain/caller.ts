/** Who calls, as a verified access token tells it. */

export type AccountKind = 'personal' | 'organization'

/** What an access token may let its bearer do. */
export const scopes = ['telemetry:write', 'settings', 'privacy:read', 'privacy:admin', 'verification:delegate', 'security:admin'] as const
export type Scope = typeof scopes[number]

/** How far the clock of an issuer may be ahead of this service's, for every time that a token states as past. */
export const clockSkewMs = 30_000

export interface Caller {
  /** The token's subject as it stands in logs of access; never written to the request log. */
  subject: string
  /** Undefined when nobody is signed in. */
  accountId: string | undefined
  deviceId: string | undefined
  orgId: string | undefined
  accountKind: AccountKind
  region: string | undefined
  email: string | undefined
  emailVerified: boolean
  language: string | undefined
  /** When the person signed in at the issuer, epoch seconds. */
  authTime: number | undefined
  /** The session: the token's `sid`, else a hash of the token. */
  session: string
  scopes: ReadonlySet<string>
}

/** A signed-in person. */
export type Person = Caller & { accountId: string }
