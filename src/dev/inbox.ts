/** Where mail goes in development: kept in memory, read at `/dev/inbox`. */
import type { Letter, MailTransport } from '../mail/mailer.ts'

export interface ReceivedLetter { to: string, subject: string, text: string, at: number }

export interface Inbox extends MailTransport {
  /** An address's letters, oldest first. */
  lettersTo: (address: string) => ReceivedLetter[]
}

const lettersMax = 1000

export function makeInbox (now: () => number): Inbox {
  const letters: ReceivedLetter[] = []
  return {
    async send ({ to, subject, text }: Letter) {
      letters.push({ to, subject, text, at: now() })
      if (letters.length > lettersMax) letters.shift()
      await Promise.resolve()
    },
    lettersTo: address => letters.filter(letter => letter.to.toLowerCase() === address.toLowerCase()),
    close: () => {}
  }
}
