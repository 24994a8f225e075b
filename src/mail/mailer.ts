/** Sends letters over SMTP. */
import nodemailer from 'nodemailer'

export interface Letter { to: string, subject: string, text: string, html: string }

export interface MailTransport {
  send: (letter: Letter) => Promise<void>
  close: () => void
}

/** `url`: smtp:// or smtps://, with user and password where the server wants them. */
export function makeSmtpTransport (url: string, from: string): MailTransport {
  const transport = nodemailer.createTransport(url, { from })
  return {
    async send ({ to, subject, text, html }) {
      // An address object is not parsed, so that no address can smuggle in a second one.
      await transport.sendMail({ to: { name: '', address: to }, subject, text, html, disableFileAccess: true, disableUrlAccess: true })
    },
    close: () => { transport.close() }
  }
}
