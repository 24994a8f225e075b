/** Shapes that several routes share. Times go in as RFC 3339 and come out as RFC 3339 UTC with milliseconds. */
import { z } from 'zod'

/** A body cannot name `__proto__` (see `json-scan.ts`): nobody could choose anything on such a device. */
export const deviceIdPattern = /^(?!__proto__$)[A-Za-z0-9._:-]{1,128}$/
export const deviceIdShape = z.string().regex(deviceIdPattern, 'must be 1 to 128 of A-Z a-z 0-9 . _ : -, and not __proto__')

/** What an issuer calls an account or an organisation. */
export const plainIdShape = z.string().min(1, 'must not be empty').max(255, 'must have at most 255 characters')
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not hold control characters or halves of characters')

/** The earliest and latest instant that is taken for a time at all: the years 1971 to 2199. */
const instantRange = { from: Date.UTC(1971, 0), to: Date.UTC(2200, 0) }

/** An RFC 3339 time with a zone, as epoch milliseconds. */
export const instantShape = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time with a zone' })
  .transform(text => Date.parse(text))
  .refine(time => time >= instantRange.from && time < instantRange.to, 'must lie between 1971 and 2199')

/** RFC 9562, neither nil nor max; lower case. */
export const uuidShape = z.uuid('must be a UUID')
  .refine(id => !/^(?:0{8}-|f{8}-f)/i.test(id) || !/^(?:[0-]+|[fF-]+)$/.test(id), 'must not be the nil or max UUID')
  .transform(id => id.toLowerCase())

export const productShape = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ -'),
  release: z.int().min(1980).max(2200),
  version: z.string().regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 printable ASCII characters').optional()
})

/** A page of a list. */
export const pageShape = z.strictObject({
  limit: z.string().regex(/^[0-9]{1,3}$/, 'must be a number from 1 to 200').transform(Number).refine(limit => limit >= 1 && limit <= 200, 'must be a number from 1 to 200').optional(),
  cursor: z.string().max(200).optional()
})

export function showTime (ms: number): string {
  return new Date(ms).toISOString()
}

/** A time as it stands in an answer. */
export const shownTime = z.string().meta({ format: 'date-time' })
