/** JSON as no library writes it: what is right is changed here and there, so that some of it is wrong and some is only unusual. */
import fc from 'fast-check'

const pieces = [
  '"', ',', ':', '{', '}', '[', ']', ' ', '\n', '\\', '\\"', '\\\\', '\\/', '\\n', '\\u0041', '\\ud800', '\u0000', '\u00e9', '\ud83d\ude00', '-', '-0', '0', '00', '01', '1', '1.0', '1.50', '.5', '1e3',
  '9007199254740993', '1'.repeat(20), 'true', 'null', '"a":1', '"a":1,', '__proto__', 'constructor', '"command":"LINE"', '"duration_ms":5,', '"properties":{}', '"version":1', '"id":""'
]

/** `text` with up to three pieces put in, taken out or in place of what stood there. */
export function misspell (text: string): fc.Arbitrary<string> {
  const change = fc.record({ at: fc.nat(text.length), length: fc.constantFrom(0, 0, 1, 2, 5), piece: fc.constantFrom('', ...pieces) })
  return fc.array(change, { maxLength: 3 }).map(changes => changes.reduce((changed, { at, length, piece }) => changed.slice(0, at) + piece + changed.slice(at + length), text))
}
