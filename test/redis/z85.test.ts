import { randomBytes } from 'node:crypto'
import t from 'tap'
import { fromZ85, toZ85 } from '../../src/redis/z85.ts'

t.test('the example of RFC 32', t => {
  const bytes = Buffer.from([0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b])
  t.equal(toZ85(bytes), 'HelloWorld')
  t.same(fromZ85('HelloWorld'), bytes)
  t.end()
})

t.test('any bytes come back, and JSON adds nothing to their text', t => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(8), Buffer.alloc(8, 255), ...Array.from({ length: 200 }, (_, index) => randomBytes(index * 4))]) {
    const text = toZ85(bytes)
    t.same(fromZ85(text), bytes)
    t.equal(JSON.stringify(text).length, text.length + 2)
  }
  t.end()
})

t.test('what is no Z85 is an error', t => {
  for (const text of ['HelloWorl', 'Hello"orld', 'Helloé0000', '#####']) t.throws(() => fromZ85(text), text)
  t.end()
})
