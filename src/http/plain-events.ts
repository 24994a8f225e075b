/**
 * Reads the events of a batch straight from its bytes where they are written as almost every client writes them: no
 * blanks, no escapes by number, no number that could be written otherwise. What JSON.parse does for the whole body, a
 * scan for what it hides, validation, and writing the properties out again, is then spared for most events.
 */
import { isAscii } from 'node:buffer'
import { findEvent, type Catalog, type EventDefinition } from '../domain/catalog.ts'
import type { BatchElement } from '../domain/event.ts'
import { isPlainUuid, readPlainTime, uuidLength } from './plain-values.ts'

export interface EventLimits {
  eventsPerBatchMax: number
  /** Of one event. */
  eventBytesMax: number
}

export interface PlainEvents {
  elements: BatchElement[]
  /** The place after the last event. */
  end: number
}

const QUOTE = 0x22
const COMMA = 0x2c
const ZERO = 0x30
const NINE = 0x39
const LOWER_I = 0x69
const LOWER_N = 0x6e
const LOWER_O = 0x6f
const LOWER_P = 0x70
const LOWER_V = 0x76
const OPEN = 0x7b
const CLOSE = 0x7d
const membersOfEvent = 5
const versionMax = 65_535
const plainName = /^[a-z0-9_.]{1,128}$/

/** A pattern takes time and memory by the length of what it is given, whether or not that is taken in the end. */
const plainBytesMax = 65_536
const usualBytesMax = 8192

/** As JSON.stringify writes them. An object may hold objects that hold none, and lists of what is neither. */
const string = String.raw`"[^"\\\x00-\x1f]*(?:\\["\\bfnrt][^"\\\x00-\x1f]*)*"`
const number = String.raw`(?:0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,5}[1-9])(?=[,\]}])`
const scalar = `(?:${string}|${number}|true|false|null)`
/** A key that is forbidden is none of these. */
const key = '"(?!prototype")[A-Za-z][A-Za-z0-9_]*":'
const listOf = (value: string): string => String.raw`\[(?:${value}(?:,${value})*)?\]`
const objectOf = (value: string): string => String.raw`\{(?:${key}${value}(?:,${key}${value})*)?\}`
const plainProperties = new RegExp(objectOf(`(?:${scalar}|${listOf(scalar)}|${objectOf(`(?:${scalar}|${listOf(scalar)})`)})`), 'y')

/**
 * `bytes`: UTF-8, and `text` a character for each of them; `at`: the place of the first event. Undefined when one of those
 * up to `end` is written in another way, or is larger than it may be; what stands at `end` is for the caller to look at.
 */
export function readPlainEvents (catalog: Catalog, bytes: Buffer, text: string, at: number, limits: EventLimits): PlainEvents | undefined {
  const eventMax = Math.min(limits.eventBytesMax, plainBytesMax)
  const textOf = isAscii(bytes) ? (from: number, end: number) => text.slice(from, end) : (from: number, end: number) => bytes.toString('utf8', from, end)
  const elements: BatchElement[] = []
  let window = ''
  /** The text up to a bit behind a place. */
  const windowAt = (from: number): string => {
    if (window.length < Math.min(from + usualBytesMax, text.length)) window = upTo(text, from + 2 * usualBytesMax)
    return window
  }
  for (let end = at; elements.length < limits.eventsPerBatchMax; end++) {
    let id = ''
    let name = ''
    let version = 0
    let occurredAt = 0
    let propertiesFrom = 0
    let propertiesEnd = 0
    let isUsual = false
    let definition: EventDefinition | undefined
    const start = end
    if (bytes[start] !== OPEN) return undefined
    // Each member is there once and none is empty, so five of them are all that there are.
    for (let member = 1; member <= membersOfEvent; member++) {
      const from = end + 1
      // The second character of a member tells which it is.
      switch (bytes[from + 1]) {
        case LOWER_I:
          end = from + 6 + uuidLength
          if (id !== '' || !text.startsWith('"id":"', from) || !isPlainUuid(bytes, from + 6) || bytes[end] !== QUOTE) return undefined
          id = text.slice(from + 6, end++)
          break
        case LOWER_N:
          if (name !== '' || !text.startsWith('"name":"', from)) return undefined
          end = text.indexOf('"', from + 8)
          name = text.slice(from + 8, end++)
          if (name === '') return undefined
          break
        case LOWER_V:
          end = from + 10
          if (version !== 0 || !text.startsWith('"version":', from) || bytes[end] === ZERO) return undefined
          for (let digit = bytes[end] ?? 0; digit >= ZERO && digit <= NINE; digit = bytes[++end] ?? 0) version = version * 10 + digit - ZERO
          if (version < 1 || version > versionMax) return undefined
          break
        case LOWER_O:
          if (occurredAt !== 0 || !text.startsWith('"occurred_at":"', from)) return undefined
          end = text.indexOf('"', from + 15)
          occurredAt = readPlainTime(bytes, from + 15, end++)
          if (Number.isNaN(occurredAt)) return undefined
          break
        case LOWER_P:
          if (propertiesFrom !== 0 || !text.startsWith('"properties":', from)) return undefined
          propertiesFrom = from + 13
          definition = findEvent(catalog, name, version)
          end = definition?.findUsualEnd(windowAt(propertiesFrom), propertiesFrom) ?? -1
          isUsual = end >= 0
          if (!isUsual) end = findPlainEnd(upTo(text, start + eventMax), propertiesFrom)
          if (end < 0) return undefined
          propertiesEnd = end
          break
        default: return undefined
      }
      if (bytes[end] !== (member === membersOfEvent ? CLOSE : COMMA)) return undefined
    }
    if (!isUsual && !plainName.test(name)) return undefined
    const properties = textOf(propertiesFrom, propertiesEnd)
    const parsed = isUsual ? undefined : JSON.parse(properties) as Record<string, unknown>
    // A key that is there twice is in the value once.
    if (parsed !== undefined && countKeys(parsed) !== countOf(properties, '":')) return undefined
    elements.push({ event: { id, name, version, occurredAt, properties: parsed, text: properties, definition } })
    end++
    if (end - start > eventMax) return undefined
    if (bytes[end] !== COMMA) return { elements, end }
  }
  return undefined
}

function upTo (text: string, end: number): string {
  return end < text.length ? text.slice(0, end) : text
}

function findPlainEnd (text: string, from: number): number {
  plainProperties.lastIndex = from
  return plainProperties.test(text) ? plainProperties.lastIndex : -1
}

function countKeys (value: object): number {
  return Object.values(value).reduce<number>((count, inner) => count + 1 + (typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? countKeys(inner as object) : 0), 0)
}

function countOf (text: string, what: string): number {
  let count = 0
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + what.length)) count++
  return count
}
