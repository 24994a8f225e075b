/** Bytes as text: Z85 of ZeroMQ (RFC 32), 5 characters for 4 bytes where base64 takes 4 for 3. None of them is escaped in JSON. */

const digits = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#', 'latin1')
const base = 85
const square = base * base
const fourth = square * square
/** Two digits for each number below the square of the base. */
const pairs = Uint16Array.from({ length: square }, (_, value) => (digits[Math.floor(value / base)] ?? 0) | (digits[value % base] ?? 0) << 8)
const none = 255
const values = new Uint8Array(256).fill(none)
for (const [value, digit] of digits.entries()) values[digit] = value

/** `bytes`: a multiple of 4. */
export function toZ85 (bytes: Buffer): string {
  const text = Buffer.allocUnsafe(bytes.length / 4 * 5)
  let to = 0
  for (let from = 0; from < bytes.length; from += 4) {
    const value = bytes.readUInt32BE(from)
    const first = Math.floor(value / fourth)
    const rest = value - first * fourth
    const second = Math.floor(rest / square)
    const high = pairs[second] ?? 0
    const low = pairs[rest - second * square] ?? 0
    text[to++] = digits[first] ?? 0
    text[to++] = high & 255
    text[to++] = high >> 8
    text[to++] = low & 255
    text[to++] = low >> 8
  }
  return text.toString('latin1')
}

/** @throws when the text is none that `toZ85` makes */
export function fromZ85 (text: string): Buffer {
  const chars = Buffer.from(text, 'latin1')
  if (chars.length % 5 !== 0) throw new Error('a text is no Z85')
  const bytes = Buffer.allocUnsafe(chars.length / 5 * 4)
  for (let from = 0, to = 0; from < chars.length; from += 5, to += 4) {
    let value = 0
    for (let at = from; at < from + 5; at++) {
      const digit = values[chars[at] ?? 0] ?? none
      if (digit === none) throw new Error('a text is no Z85')
      value = value * base + digit
    }
    if (value > 0xffffffff) throw new Error('a text is no Z85')
    bytes.writeUInt32BE(value, to)
  }
  return bytes
}
