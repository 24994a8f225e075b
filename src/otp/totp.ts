/** Time-based one-time passwords as every authenticator app makes them: SHA-1, 6 digits, 30 s (RFC 6238). */
import { generateSecret, generateURI, verify } from 'otplib'

export interface Totp {
  /** 20 random bytes in base32 without padding (RFC 4226, R6). */
  newSecret: () => string
  /** What an app reads from the QR code. */
  uri: (label: string, secret: string) => string
  /** The time step that a six-digit code is right for, the current one or one either way; `now` in epoch ms. */
  matchStep: (secret: string, code: string, now: number) => Promise<number | undefined>
}

const stepSeconds = 30
/** In characters. With it a QR code holds the rest too, whatever script the name is in. */
const labelLengthMax = 64

/** `issuer` is what the app shows above the code. */
export function makeTotp (issuer: string): Totp {
  return {
    newSecret: () => generateSecret({ length: 20 }).replace(/=+$/, ''),
    // A colon separates issuer and account in the label, so neither may hold one.
    uri: (label, secret) => generateURI({ issuer: issuer.replaceAll(':', ' '), label: Array.from(label.replaceAll(':', ' ')).slice(0, labelLengthMax).join(''), secret }),
    async matchStep (secret, code, now) {
      const result = await verify({ secret, token: code, epoch: Math.floor(now / 1000), epochTolerance: stepSeconds })
      return result.valid && 'timeStep' in result ? result.timeStep : undefined
    }
  }
}
