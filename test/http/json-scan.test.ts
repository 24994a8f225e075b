import fc from 'fast-check'
import t from 'tap'
import { scanJson, type ScanFinding, type ScanReason, type ScanResult } from '../../src/http/json-scan.ts'

const clean: ScanResult = { events: undefined }

const fatal = (reason: ScanReason, pointer: string) => ({ fatal: { reason, pointer }, events: undefined })

function inEvents (...findings: [number, ScanReason, string][]): ScanResult {
  return { events: new Map(findings.map(([index, reason, pointer]) => [index, { reason, pointer }])) }
}

const many = (item: (i: number) => string, count: number) => Array.from({ length: count }, (_, i) => item(i)).join()
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

t.test('a body whose meaning survives parsing is left alone', async t => {
  for (const text of [
    '{"batch_id":"b","product":{"name":"cad"},"events":[{"id":"1","properties":{"a":1.5,"b":-7,"c":[]}},{"id":"2"}]}',
    '{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":2}],"d":"x","x":"x"}',
    '{"a":"a","aa":"\\"a\\":","aaa":"{\\\\","aaaa":"C:\\\\users\\\\u0000"}',
    '["\\ud83d\\ude00","😀","\\n\\/","é",""]',
    '[0,0.0,0e9,10,-1,-0.5,0.30000000000000004,9007199254740991,-9007199254740991,1e20,1.5E+300,5e-324]',
    '{"constructor":1,"prototype":2,"proto":{"__proto":3},"other":{"constructor":{"a":{"prototype":4}}}}',
    nested(8), ' \n{}\t', '"text"', '-5', 'null', 'true'
  ]) {
    JSON.parse(text)
    t.strictSame(scanJson(text), clean, text.slice(0, 60))
  }
})

t.test('nesting over eight levels is refused wherever it is', async t => {
  t.strictSame(scanJson(nested(9)), fatal('too-deep', '/0/0/0/0/0/0/0/0'))
  t.strictSame(scanJson('{"events":[{"p":{"a":{"b":{"c":{"d":{"e":{}}}}}}}]}'), fatal('too-deep', '/events/0/p/a/b/c/d/e'))
  t.strictSame(scanJson('{"settings":[[],[[[[[[[]]]]]]]]}'), fatal('too-deep', '/settings/1/0/0/0/0/0/0'))
})

t.test('a key that would reach a prototype is refused wherever it is and however it is spelled', async t => {
  t.strictSame(scanJson('{"__proto__":1}'), fatal('forbidden-key', '/__proto__'))
  t.strictSame(scanJson('{"\\u005f_proto__":1}'), fatal('forbidden-key', '/__proto__'))
  t.strictSame(scanJson('{"events":[{"a":1},{"b":[{"_\\u005Fproto_\\u005f":1}]}]}'), fatal('forbidden-key', '/events/1/b/0/__proto__'))
  t.strictSame(scanJson('{"constructor":{"a":1,"prototype":{}}}'), fatal('forbidden-key', '/constructor/prototype'))
  t.strictSame(scanJson('{"events":[{"c\\u006fnstructor":{"prototyp\\u0065":1}}]}'), fatal('forbidden-key', '/events/0/constructor/prototype'))
})

t.test('what is wrong outside the events refuses the body', async t => {
  t.strictSame(scanJson('{"events":[],"events":[]}'), fatal('duplicate-key', '/events'))
  t.strictSame(scanJson('{"events":[{"a":1,"a":2}],"\\u0065vents":[]}'), fatal('duplicate-key', '/events'))
  t.strictSame(scanJson('{"account":{"a":"granted","b":"denied","\\u0061":"denied"}}'), fatal('duplicate-key', '/account/a'))
  t.strictSame(scanJson('{"events":{"0":{"a":1,"a":2}}}'), fatal('duplicate-key', '/events/0/a'))
  t.strictSame(scanJson('[{"events":[{"a":1,"a":2}]}]'), fatal('duplicate-key', '/0/events/0/a'))
  t.strictSame(scanJson('{"product":{"events":[-0]}}'), fatal('invalid-number', '/product/events/0'))
  t.strictSame(scanJson('{"device_id":"\\ud800"}'), fatal('invalid-string', '/device_id'))
  t.strictSame(scanJson('{"a":{"\\u0000":1}}'), fatal('invalid-string', '/a'))
  t.strictSame(scanJson('"\\udc00\\ud800"'), fatal('invalid-string', ''))
  t.strictSame(scanJson('1e400'), fatal('invalid-number', ''))
})

t.test('what is wrong inside one event is the first finding of that event and of no other', async t => {
  t.strictSame(
    scanJson('{"batch_id":"b","events":[{"a":1},{"p":{"a":1,"a":-0}},{"n":[-0],"n":1},{},"\\ud800",{"\\u0000":1}],"z":1}'),
    inEvents([1, 'duplicate-key', '/p/a'], [2, 'invalid-number', '/n/0'], [4, 'invalid-string', ''], [5, 'invalid-string', ''])
  )
  t.strictSame(scanJson('{"\\u0065vents":[{"a":1,"\\u0061":2}]}'), inEvents([0, 'duplicate-key', '/a']))
  t.strictSame(scanJson('{"events":[[1,{"~/":-0}]]}'), inEvents([0, 'invalid-number', '/1/~0~1']))
})

t.test('strings and numbers that cannot be stored as they are', async t => {
  for (const bad of ['\\ud800', 'a\\uD800b', '\\udc00', '\\ud800\\ud800', '\\ud83d\\\\ude00', '\ud800', '\\u0000', 'a\\\\\\u0000']) {
    t.strictSame(scanJson(`{"events":[{"a":"${bad}"}]}`), inEvents([0, 'invalid-string', '/a']), bad)
  }
  for (const bad of [
    '-0', '-0.0', '-0e3', '1e400', '-1e400', '1e-400', '-0.1e-400', `0.${'0'.repeat(400)}1`, `${'9'.repeat(400)}.5`,
    '9007199254740992', '-9007199254740993', '9'.repeat(300)
  ]) t.strictSame(scanJson(`{"events":[{"a":${bad}}]}`), inEvents([0, 'invalid-number', '/a']), bad.slice(0, 30))
})

t.test('a repeated key is found among few keys and among many', async t => {
  for (const count of [1, 2, 15, 16, 17, 200]) {
    const keys = many(i => `"k${i}":${i}`, count)
    for (const again of new Set([0, count >> 1, count - 1])) {
      t.strictSame(scanJson(`{"p":{${keys},"k${again}":0}}`), fatal('duplicate-key', `/p/k${again}`), `${again} of ${count}`)
    }
    t.strictSame(scanJson(`{"p":{${keys},"p":[]},"q":{${keys},"\\u006b":{}},"k0":1}`), clean, `${count} different`)
  }
  const long = 'a'.repeat(70_000)
  t.strictSame(scanJson(`{"${long}1":1,"${long}2":1,"${long}1":1}`), fatal('duplicate-key', ''), 'a long key is not shown')
  t.strictSame(scanJson(`{"p":{"${long}":{"a":-0}}}`), fatal('invalid-number', '/p'), 'nor what is below it')
  t.strictSame(scanJson('{"a/b":1,"a\\/b":1}'), fatal('duplicate-key', '/a~1b'))
})

t.test('a flood of broken events refuses the body instead of filling memory', async t => {
  const flood = (count: number) => scanJson(`{"events":[${many(() => '-0', count)}]}`)
  t.equal(flood(10_000).events?.size, 10_000)
  t.strictSame(flood(10_001), fatal('invalid-number', '/events/10000'))
})

// The obvious implementation: everything wrong in a valid text, in order, and then who is to blame for it.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs
type Path = (string | number)[]

function reference (text: string): ScanResult {
  const events = new Map<number, ScanFinding>()
  for (const { reason, path } of faults(text.match(TOKEN)!, [])) {
    const [first, index] = path
    const own = first === 'events' && typeof index === 'number' && reason !== 'too-deep' && reason !== 'forbidden-key'
    if (!own) return fatal(reason, pointer(path))
    if (!events.has(index)) events.set(index, { reason, pointer: pointer(path.slice(2)) })
  }
  return { events: events.size === 0 ? undefined : events }
}

function * faults (tokens: string[], path: Path): Generator<{ reason: ScanReason, path: Path }> {
  const bad = (value: string) => !value.isWellFormed() || value.includes('\0')
  const token = tokens.shift()!
  if (token[0] === '"' && bad(JSON.parse(token))) yield { reason: 'invalid-string', path }
  if (/^[-\d]/.test(token) && altered(token)) yield { reason: 'invalid-number', path }
  if (token !== '{' && token !== '[') return
  if (path.length === 8) yield { reason: 'too-deep', path }
  const keys = new Set<string>()
  for (let index = 0; !']}'.includes(tokens[0]!); index++) {
    if (tokens[0] === ',') tokens.shift()
    const step = token === '[' ? index : JSON.parse(tokens.splice(0, 2)[0]!) as string
    const to = [...path, step]
    if (typeof step === 'string') {
      if (bad(step)) yield { reason: 'invalid-string', path }
      if (step === '__proto__' || (step === 'prototype' && path.at(-1) === 'constructor')) yield { reason: 'forbidden-key', path: to }
      if (keys.has(step)) yield { reason: 'duplicate-key', path: to }
      keys.add(step)
    }
    yield * faults(tokens, to)
  }
  tokens.shift()
}

function pointer (path: Path) {
  return path.map(step => `/${String(step).toWellFormed().replace(/[~/]/g, c => c === '~' ? '~0' : '~1')}`).join('')
}

function altered (number: string) {
  if (/^-?\d+$/.test(number) && number !== '-0') return BigInt(number) > 2n ** 53n - 1n || BigInt(number) < 1n - 2n ** 53n
  const value = Number(number)
  return !Number.isFinite(value) || Object.is(value, -0) || (value === 0 && /[1-9]/.test(number.split(/e/i)[0]!))
}

function spaced (text: string, spaces: string[]) {
  return text.match(TOKEN)!.map((token, i) => token + spaces[i % spaces.length]!).join('')
}

const spaces = fc.array(fc.constantFrom('', '', ' ', '\n', '\t \r\n'), { minLength: 1 })

const innocent = fc.jsonValue({ maxDepth: 5 }).filter(value => everyPart(value, part => {
  if (typeof part === 'number') return !Number.isInteger(part) || Number.isSafeInteger(part)
  return !part.includes('\0') && part.isWellFormed() && part !== '__proto__' && part !== 'prototype'
}))

function everyPart (value: unknown, holds: (part: string | number) => boolean): boolean {
  if (typeof value === 'string' || typeof value === 'number') return holds(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => holds(key) && everyPart(item, holds))
}

t.test('nothing is found in any innocent value, however it is laid out', async () => {
  fc.assert(fc.property(innocent, spaces, (value, spaces) => {
    for (const body of [value, { events: [value, value], more: value }]) {
      const { fatal, events } = scanJson(spaced(JSON.stringify(body), spaces))
      if (fatal !== undefined || events !== undefined) throw new Error(`found ${JSON.stringify(fatal ?? [...events!])}`)
    }
  }), { numRuns: 500 })
})

// Documents with all kinds of faults in them, and then with characters replaced.

const piece = fc.constantFrom(
  'a', 'b', '\\u0061', '\\n', '\\"', '\\\\', '\\/', 'é', '😀', '\\ud83d\\ude00', 'u0000', '\\u0000', '\\ud800', '\\udc00', '\ud800', '\udc00'
)
const wild = fc.array(piece, { maxLength: 4 }).map(pieces => `"${pieces.join('')}"`)
const word = fc.constantFrom('"a"', '"b"', '"\\u0062"', '"c"', '"events"', '"~/"', '"~\\/"', '""', '"constructor"')
const trap = fc.constantFrom('"__proto__"', '"prototype"', '"_\\u005fproto__"', '"prototyp\\u0065"', '"\\u0065vents"', '"co\\u006estructor"')
const key = fc.oneof({ arbitrary: word, weight: 40 }, { arbitrary: wild, weight: 2 }, { arbitrary: trap, weight: 2 })
const number = fc.oneof(
  { arbitrary: fc.integer().filter(n => !Object.is(n, -0)).map(String), weight: 9 },
  { arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map(n => JSON.stringify(n)), weight: 2 },
  { arbitrary: fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][-+]?\d{1,3})?$/), weight: 2 }
)
const { node } = fc.letrec<{ node: string, list: string, object: string }>(tie => ({
  node: fc.oneof({ depthSize: 'small', withCrossShrink: true }, number, word, { arbitrary: wild, weight: 1 }, tie('object'), tie('list')),
  list: fc.array(tie('node'), { maxLength: 4 }).map(items => `[${items.join()}]`),
  object: fc.array(fc.tuple(key, tie('node')).map(pair => pair.join(':')), { maxLength: 5 }).map(pairs => `{${pairs.join()}}`)
}))
const deep = fc.tuple(fc.array(fc.constantFrom(['[', ']'], ['{"a":', '}'], ['{"constructor":', '}']), { maxLength: 9 }), node)
  .map(([wraps, inner]) => wraps.map(w => w[0]).join('') + inner + wraps.map(w => w[1]).reverse().join(''))
const batch = fc.tuple(fc.array(fc.oneof(node, deep), { maxLength: 6 }), fc.oneof(fc.constant('1'), node))
  .map(([events, more]) => `{"batch_id":${more},"events":[${events.join()}],"end":[]}`)
const edit = fc.record({
  at: fc.nat(), cut: fc.nat(3), paste: fc.constantFrom('', '', '0', '9', '-', '.', 'e', 'a', '"', ',', ':', '[', ']', '{', '}', '\\', '"a":', '\ud800')
})
const mutated = fc.tuple(fc.oneof(batch, batch, deep), spaces, fc.array(edit, { maxLength: 2 })).map(([text, spaces, edits]) =>
  edits.reduce((text, { at, cut, paste }) => {
    const from = at % (text.length + 1)
    return text.slice(0, from) + paste + text.slice(from + cut)
  }, spaced(text, spaces)))

t.test('on whatever JSON.parse accepts the scan agrees with the obvious implementation', async t => {
  const met = new Map<string, number>()
  fc.assert(fc.property(mutated, text => {
    const result = scanJson(text)
    try { JSON.parse(text) } catch { return }
    const expected = reference(text)
    const kinds = expected.fatal ? [`fatal ${expected.fatal.reason}`] : [...expected.events?.values() ?? []].map(finding => `event ${finding.reason}`)
    for (const kind of kinds.length === 0 ? ['clean'] : kinds) met.set(kind, (met.get(kind) ?? 0) + 1)
    const [a, b] = [result, expected].map(({ fatal, events }) => JSON.stringify({ fatal, events: events && [...events] }))
    if (a !== b) throw new Error(`${a} instead of ${b}`)
  }), { numRuns: 10_000 })
  t.equal(met.size, 9, 'all kinds of findings', { met })
  t.ok(Math.min(...met.values()) > 10, 'each often enough', { met })
})

t.test('no text makes it throw', async () => {
  const shards = fc.array(fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', 'u', '0', '-', 'e', '.', '"events":[', '\ud800', '\0', ' '), { maxLength: 60 })
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), shards.map(parts => parts.join(''))), text => { scanJson(text) }), { numRuns: 5000 })
})

t.test('a megabyte of anything is done in linear time', async t => {
  const fill = (text: string, size = 1 << 20) => text.repeat(size / text.length)
  const texts: Record<string, string> = {
    'deep arrays': nested(100_000),
    'deep objects': fill('{"a":'),
    'many keys': `{${many(i => `"k${i}":1`, 90_000)}}`,
    'many keys that look alike': `{"events":[{${many(i => `"${'a'.repeat(60_000)}${i}b":1`, 17)}}]}`,
    'many repeated keys under a long escaped one': `{"events":[{"${fill('\\u0061', 1 << 19)}":{${many(() => '"prototype":1', 40_000)}}}]}`,
    'many broken values under a long key': `{"events":[{"${fill('a', 1 << 19)}":[${many(() => '-0', 100_000)}]}]}`,
    'broken events': `{"events":[${many(() => '"\\ud800"', 9999)}${fill(',1', 1 << 19)}]}`,
    'open string': '"' + fill('\\"'),
    backslashes: fill('\\') + '"' + fill('\\'),
    'strings then one backslash': `[${fill('"",')}"\\n"]`,
    'broken escapes': `[${fill('"\\u",')}`,
    'one long number': fill('9'),
    'many long exponents': `[${fill('1e0000000000001,')}0]`,
    'raw surrogates': `{"events":[[${fill('"\ud800",')}0]]}`
  }
  for (const [name, text] of Object.entries(texts)) {
    const start = performance.now()
    const { fatal } = scanJson(text)
    const took = performance.now() - start
    t.ok(took < 500, `${name}: ${took.toFixed(1)} ms`)
    t.equal(fatal?.reason === 'too-deep', name.startsWith('deep'))
  }
})
