/** What no client should send, by itself and put in place of what it should. */
import fc from 'fast-check'

/** Stands in texts that are sent, and in no answer's own words and no line of the log. */
export const marker = 'Qz7hostileQz7'

const texts: readonly string[] = [
  '', ' ', '\t', '0', '-1', 'null', 'undefined', 'NaN', 'true', 'constructor', '__proto__', 'prototype', 'toString',
  '../../../../etc/passwd', '..\\..\\windows\\win.ini', 'file:///etc/passwd', 'http://169.254.169.254/latest/meta-data/', 'http://[::1]:6379/', 'http://0x7f.1/',
  '\'; DROP TABLE events; --', '" OR 1=1 --', '1; SELECT 1', '{x:String}', '%s%n', '${7*7}', '{{7*7}}', '<script>alert(1)</script>', '$(id)', '`id`', '|id',
  '=cmd|\'/C calc\'!A0', '+1', '-1+1', '@SUM(1)', '(a+)+$', '%%%%', '*', '\\', '\'', '"',
  '\r\nSet-Cookie: a=b', '\n{"level":60,"msg":"forged"}', '\u001b[31mred\u001b[0m', '\u0000', '\u0007', '\u2028', '\u202e\u200b', '\ufeff', '\ud800', '\udc00', '\u{1f600}',
  '１２３４５６', '12 34 56', '+12345', '1e5', '123456', '0x10', 'é', 'e\u0301', 'ﬁ', 'ａｄａ', 'аda',
  'a@b', 'ada@example.com', 'ada@example.com\r\nBcc: eve@example.com', 'ada@example.com,eve@example.com', 'ada@exаmple.com', `${'a@'.repeat(500)}b`, `${'a.'.repeat(300)}@x`,
  '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '+275760-09-13T00:00:00Z', '2026-02-30T00:00:00Z', '2026-01-01T25:61:00Z', '2026-01-01',
  'device:pc-1', 'anonymous', 'web:ada', 'a'.repeat(65), 'a'.repeat(129), 'a'.repeat(256), 'a'.repeat(600), 'a'.repeat(5000), '9'.repeat(400)
]

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...texts) },
  { weight: 2, arbitrary: fc.constantFrom(...texts).map(text => marker + text) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }) }
)

export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 4, arbitrary: fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 65_536, 2 ** 31, 2 ** 53 - 1, 1e308, [], {}, [[]], [null], { a: 1 }, [{}], { constructor: { x: 1 } }, { length: 1e9 }, { toString: null }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(300, 2000).map(length => Array.from({ length }, (_, index) => index)) },
  { weight: 1, arbitrary: fc.constantFrom(101, 1500).map(length => Object.fromEntries(Array.from({ length }, (_, index) => [`p${String(index)}`, 'granted']))) }
)

export const hostileName: fc.Arbitrary<string> = fc.oneof(hostileText, fc.constantFrom('account_id', 'sub', 'scope', 'admin', 'events', 'properties', 'id'))

/** Values of headers: what a client of HTTP lets through. */
export const hostileHeader: fc.Arbitrary<string> = hostileText.map(text => Buffer.from(text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?').trim(), 'latin1').toString('latin1'))
