/** What JSON.parse would hide, or alter without a word. */
export type ScanReason = 'too-deep' | 'duplicate-key' | 'forbidden-key' | 'invalid-string' | 'invalid-number'

/** `pointer` is a JSON pointer (RFC 6901) to the place or, where its key cannot well be shown, to what holds it. */
export interface ScanFinding { reason: ScanReason, pointer: string }

/** `fatal` is about the whole body; `events` has the first finding in each bad element of `/events`, by its index. */
export interface ScanResult { fatal?: ScanFinding, events: Map<number, ScanFinding> | undefined }

const DEPTH_MAX = 8
const COMPARED_KEYS_MAX = 16 // With more keys in one object a Set is cheaper than comparing them all.
const EVENT_FINDINGS_MAX = 10_000 // Far more than a batch may hold: memory must not grow as the sender likes.
const POINTER_KEY_LENGTH_MAX = 100

/** An earlier key of an open object. Most keys differ in `print` already, and only the others are compared. */
interface Key { start: number, end: number, print: number, earlier: Key | undefined }

/** An open object or array, or the body around them (depth 0). An array has an index as `keyStart`, and -1 as `keyEnd`. */
interface Container {
  holder: Container | undefined
  depth: number
  keyStart: number
  keyEnd: number
  lastKey: Key | undefined
  keyCount: number
  keySet: Set<string> | undefined
}

const QUOTE = 0x22
const PLUS = 0x2b
const COMMA = 0x2c
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const UPPER_E = 0x45
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const LOWER_E = 0x65
const LOWER_U = 0x75
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Scans the text of a JSON body before it is parsed.
 *
 * Always fatal, and the first fatal finding ends the scan: an object or array inside eight others; a key `__proto__`;
 * a key `prototype` in the object that is the value of a key `constructor`. Fatal too, unless it is inside an element
 * of the top-level `events` array and so the matter of that element alone: the same key twice in one object (RFC 8259
 * section 4), a string or key with NUL or with a lone surrogate, for which UTF-8 has no bytes (RFC 7493 section 2.1), a
 * number that would not be kept: too large for a double, too near to zero, -0, an integer beyond 2^53-1 (RFC 7493
 * section 2.2). Keys are compared after unescaping. Pointers start at the element, or at the body if fatal.
 *
 * It validates nothing: on what is not JSON it gives up, so that a clean result means something only together with
 * JSON.parse accepting the same text. It does not throw, takes linear time, and less memory than parsing.
 */
export function scanJson (text: string): ScanResult {
  const length = text.length
  const wellFormed = text.isWellFormed()

  let inside = container(undefined, 0, 0)
  let eventsArray: Container | undefined
  let atKey = false
  let escape = position(text, '\\', 0) // The next backslash: JSON has them in strings only.
  let fatal: ScanFinding | undefined
  let events: Map<number, ScanFinding> | undefined

  for (let at = 0; at < length && fatal === undefined; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      const start = at + 1
      at = position(text, '"', start)
      const escaped = escape < at
      let unicode = !wellFormed
      while (escape < at) {
        if (escape + 1 === at) at = position(text, '"', at + 1)
        else if (text.charCodeAt(escape + 1) === LOWER_U) unicode = true
        escape = position(text, '\\', escape + 2)
      }
      let decoded: string | undefined
      if (unicode || (escaped && atKey)) {
        decoded = decode(text, start, at)
        if (decoded === undefined) break
        if (!decoded.isWellFormed() || decoded.includes('\0')) report('invalid-string', atKey ? inside.holder : inside)
      }
      if (atKey) {
        atKey = false
        inside.keyStart = start
        inside.keyEnd = at
        if (isForbidden(start, at, decoded)) fatal = { reason: 'forbidden-key', pointer: pointer(inside, undefined) }
        else if (isRepeated(start, at, decoded)) report('duplicate-key', inside)
      }
    } else if (char === COMMA) {
      if (inside.keyEnd < 0) inside.keyStart++
      else atKey = true
    } else if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      if (inside.depth === DEPTH_MAX) {
        fatal = { reason: 'too-deep', pointer: pointer(inside, undefined) }
        break
      }
      atKey = char === OPEN_OBJECT
      const isEvents = inside.depth === 1 && !atKey && isKey(inside, 'events')
      inside = container(inside, inside.depth + 1, atKey ? 0 : -1)
      if (isEvents) eventsArray = inside
    } else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) {
      atKey = false
      if (inside.holder === undefined) break
      inside = inside.holder
      if (inside.depth === 1) eventsArray = undefined
    } else if (char === MINUS || isDigit(char)) {
      const start = at
      let next = text.charCodeAt(++at)
      while (isDigit(next)) next = text.charCodeAt(++at)
      let plain = at - start < 16 && (char !== MINUS || text.charCodeAt(start + 1) !== ZERO)
      if (next === DOT) {
        do next = text.charCodeAt(++at); while (isDigit(next))
        plain &&= at - start < 300
      }
      if (next === LOWER_E || next === UPPER_E) {
        do next = text.charCodeAt(++at); while (isDigit(next) || next === PLUS || next === MINUS)
        plain = false
      }
      if (!plain && !isKept(text.slice(start, at))) report('invalid-number', inside)
      at-- // The character after a number has a meaning of its own.
    }
  }
  return fatal === undefined ? { events } : { fatal, events: undefined }

  function report (reason: ScanReason, at: Container | undefined) {
    if (eventsArray === undefined || events?.size === EVENT_FINDINGS_MAX) fatal = { reason, pointer: pointer(at, undefined) }
    else if (!events?.has(eventsArray.keyStart)) {
      events ??= new Map()
      events.set(eventsArray.keyStart, { reason, pointer: pointer(at, eventsArray) })
    }
  }

  function pointer (at: Container | undefined, top: Container | undefined) {
    let path = ''
    for (; at?.holder !== undefined && at !== top; at = at.holder) {
      const { keyStart: start, keyEnd: end } = at
      if (end - start > POINTER_KEY_LENGTH_MAX) path = ''
      else {
        const key = end < 0 ? String(start) : (decode(text, start, end) ?? '').toWellFormed()
        path = '/' + key.replaceAll('~', '~0').replaceAll('/', '~1') + path
      }
    }
    return path
  }

  function isKey (holder: Container, name: string) {
    const start = holder.keyStart
    const size = holder.keyEnd - start
    if (size === name.length) return text.startsWith(name, start)
    // An escaped spelling has at most six characters for one. Longer keys are not looked at, again and again.
    return size > name.length && size <= 6 * name.length && decode(text, start, start + size) === name
  }

  function isForbidden (start: number, end: number, decoded: string | undefined) {
    if (decoded === undefined && end - start !== 9) return false // Both names have nine characters.
    const key = decoded ?? text.slice(start, end)
    return key === '__proto__' || (key === 'prototype' && inside.holder !== undefined && isKey(inside.holder, 'constructor'))
  }

  function isRepeated (start: number, end: number, decoded: string | undefined) {
    if (inside.keySet === undefined) {
      if (decoded === undefined && inside.keyCount < COMPARED_KEYS_MAX) {
        const print = (end - start) << 16 ^ text.charCodeAt(start) << 8 ^ text.charCodeAt(end - 1)
        for (let key = inside.lastKey; key !== undefined; key = key.earlier) {
          if (key.print === print && text.slice(key.start, key.end) === text.slice(start, end)) return true
        }
        inside.lastKey = { start, end, print, earlier: inside.lastKey }
        inside.keyCount++
        return false
      }
      inside.keySet = new Set()
      for (let key = inside.lastKey; key !== undefined; key = key.earlier) inside.keySet.add(text.slice(key.start, key.end))
    }
    return inside.keySet.size === inside.keySet.add(decoded ?? text.slice(start, end)).size
  }
}

function container (holder: Container | undefined, depth: number, keyEnd: number): Container {
  return { holder, depth, keyStart: 0, keyEnd, lastKey: undefined, keyCount: 0, keySet: undefined }
}

function position (text: string, char: string, from: number) {
  const at = text.indexOf(char, from)
  return at < 0 ? text.length : at
}

function isDigit (char: number) {
  return char >= ZERO && char <= NINE
}

/** The string of a literal whose inside is text[start..end), undefined if that is none. */
function decode (text: string, start: number, end: number) {
  try {
    return JSON.parse(text.slice(start - 1, end + 1)) as string
  } catch {
    return undefined
  }
}

function isKept (number: string) {
  const value = Number(number)
  if (value === 0) return number[0] !== '-' && !/^[^eE]*[1-9]/.test(number)
  return Number.isSafeInteger(value) || (Number.isFinite(value) && /[.eE]/.test(number))
}
