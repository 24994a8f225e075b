/** Ids and times in their usual form, read where they stand among the bytes of a body. */

export const uuidLength = 36

const DASH = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const EIGHT = 0x38
const NINE = 0x39
const COLON = 0x3a
const UPPER_T = 0x54
const UPPER_Z = 0x5a
const LOWER_A = 0x61
const LOWER_B = 0x62
/** From 1970. */
const daysUntil2000 = 10_957
/** Before each month of a year that has no leap day. */
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
const hexDigits = new Uint8Array(256)
for (const digit of '0123456789abcdef') hexDigits[digit.charCodeAt(0)] = 1

/** Whether a UUID of RFC 9562 stands there, of a version that is in use and in lower case. */
export function isPlainUuid (bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < uuidLength; index++) {
    const char = bytes[at + index] ?? 0
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (char !== DASH) return false
    } else if (hexDigits[char] !== 1) return false
  }
  const version = (bytes[at + 14] ?? 0) - ZERO
  const variant = bytes[at + 19]
  return version >= 1 && version <= 8 && (variant === EIGHT || variant === NINE || variant === LOWER_A || variant === LOWER_B)
}

/**
 * Epoch ms of an RFC 3339 time of this century in UTC, in whole seconds or with three digits more, on a day that every
 * month has; NaN for any other text. Date.parse, which reads other forms too, takes many times as long.
 */
export function readPlainTime (bytes: Uint8Array, from: number, end: number): number {
  const length = end - from
  if (length !== 20 && length !== 24) return NaN
  if (bytes[from + 4] !== DASH || bytes[from + 7] !== DASH || bytes[from + 10] !== UPPER_T) return NaN
  if (bytes[from + 13] !== COLON || bytes[from + 16] !== COLON || bytes[end - 1] !== UPPER_Z) return NaN
  const year = twoAt(bytes, from + 2)
  const month = twoAt(bytes, from + 5)
  const day = twoAt(bytes, from + 8)
  const hour = twoAt(bytes, from + 11)
  const minute = twoAt(bytes, from + 14)
  const second = twoAt(bytes, from + 17)
  if (twoAt(bytes, from) !== 20 || !(year >= 0) || !(month >= 1 && month <= 12) || !(day >= 1 && day <= 28)) return NaN
  if (!(hour >= 0 && hour < 24) || !(minute >= 0 && minute < 60) || !(second >= 0 && second < 60)) return NaN
  let ms = 0
  if (length === 24) {
    if (bytes[from + 19] !== DOT) return NaN
    ms = digitAt(bytes, from + 20) * 100 + twoAt(bytes, from + 21)
    if (!(ms >= 0)) return NaN
  }
  const leapDays = ((year + 3) >> 2) + (month > 2 && year % 4 === 0 ? 1 : 0)
  const days = daysUntil2000 + year * 365 + leapDays + (daysBefore[month - 1] ?? NaN) + day - 1
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms
}

/** NaN where there are no two digits. */
function twoAt (bytes: Uint8Array, at: number): number {
  return digitAt(bytes, at) * 10 + digitAt(bytes, at + 1)
}

function digitAt (bytes: Uint8Array, at: number): number {
  const digit = (bytes[at] ?? 0) - ZERO
  return digit >= 0 && digit <= 9 ? digit : NaN
}
