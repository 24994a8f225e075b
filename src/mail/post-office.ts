/** Letters wait sealed in a queue and are opened when they are delivered. */
import type { Letter, MailTransport } from './mailer.ts'

export interface PostOffice {
  /** Resolves when the letter is queued; past `expiresAt` (epoch ms) it is not delivered any more. The same `id` again is the same letter. */
  post: (letter: Letter, expiresAt: number, id?: string) => Promise<void>
  deliver: (sealed: string) => Promise<void>
}

interface PostOfficeDeps {
  queue: { add: (sealed: string, expiresAt: number, id?: string) => Promise<void> }
  transport: MailTransport
  box: { seal: (text: string, context: string) => string, open: (sealed: string, context: string) => string }
}

const context = 'mail'

export function makePostOffice ({ queue, transport, box }: PostOfficeDeps): PostOffice {
  return {
    post: async (letter, expiresAt, id) => { await queue.add(box.seal(JSON.stringify(letter), context), expiresAt, id) },
    deliver: async sealed => { await transport.send(JSON.parse(box.open(sealed, context)) as Letter) }
  }
}
