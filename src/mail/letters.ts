/** Letters, in the languages there are words for. No code stands in a subject. */
import type { SecurityEvent } from '../domain/security-event.ts'
import { backupCodesLow } from '../domain/verification.ts'
import { english } from './words/english.ts'
import { german } from './words/german.ts'
import type { Letter } from './mailer.ts'
import type { Language, LetterContent } from './words/language.ts'

const languages: Readonly<Record<string, Language>> = { en: english, de: german }

/** `language`: a tag such as `de-AT`; English where there are no words for it. */
export function writeLetter (to: string, language: string | null, content: LetterContent): Letter {
  const primary = language?.slice(0, 2).toLowerCase() ?? 'en'
  const tag = Object.hasOwn(languages, primary) ? primary : 'en'
  const { subject, lines } = (languages[tag] ?? english)(content)
  const code = content.kind === 'verification_code' ? content.code : undefined
  const paragraphs = lines.map(line => line === code ? `<p style="font-size:2em;letter-spacing:.2em">${line}</p>` : `<p>${line}</p>`)
  return { to, subject, text: `${lines.join('\n\n')}\n`, html: `<!doctype html><html lang="${tag}"><body>${paragraphs.join('')}</body></html>` }
}

/** The letter about an event of the security log. */
export function letterAbout ({ kind, remaining, effective_at: effectiveAt }: SecurityEvent): LetterContent {
  switch (kind) {
    case 'two_step_disable_scheduled':
    case 'account_locked': return { kind, effectiveAt: effectiveAt ?? 0 }
    case 'backup_code_used': return { kind, remaining: remaining ?? 0, low: (remaining ?? 0) <= backupCodesLow }
    default: return { kind }
  }
}
