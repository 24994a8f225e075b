/** The words of each letter, in the languages there are templates for. No code stands in a subject. */
import type { Letter } from './mailer.ts'

/** A letter to be written: what it is about, and what it must say. */
export type LetterContent = { kind: 'verification-code', code: string, minutes: number }

interface Words { subject: string, lines: string[] }

const english = (content: LetterContent): Words => ({
  subject: 'Your verification code',
  lines: [
    'Someone, we hope you, wants to change settings of your account. The code is:',
    content.code,
    `It is valid for ${String(content.minutes)} minutes and can be used once.`,
    'If it was not you, do nothing: without the code nothing changes.'
  ]
})

const german = (content: LetterContent): Words => ({
  subject: 'Ihr Bestätigungscode',
  lines: [
    'Jemand, hoffentlich Sie selbst, möchte Einstellungen Ihres Kontos ändern. Der Code lautet:',
    content.code,
    `Er gilt ${String(content.minutes)} Minuten und kann einmal verwendet werden.`,
    'Wenn Sie das nicht waren, müssen Sie nichts tun: Ohne den Code ändert sich nichts.'
  ]
})

const templates: Readonly<Record<string, (content: LetterContent) => Words>> = { en: english, de: german }

/** `language`: a tag such as `de-AT`; English where there is no template for it. */
export function writeLetter (to: string, language: string | undefined, content: LetterContent): Letter {
  const primary = language?.slice(0, 2).toLowerCase() ?? 'en'
  const tag = Object.hasOwn(templates, primary) ? primary : 'en'
  const { subject, lines } = (templates[tag] ?? english)(content)
  const paragraphs = lines.map(line => line === content.code ? `<p style="font-size:2em;letter-spacing:.2em">${line}</p>` : `<p>${line}</p>`)
  return { to, subject, text: `${lines.join('\n\n')}\n`, html: `<!doctype html><html lang="${tag}"><body>${paragraphs.join('')}</body></html>` }
}
