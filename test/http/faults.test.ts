import t from 'tap'
import { z } from 'zod'
import { readShape } from '../../src/http/faults.ts'

const faultsOf = (shape: z.ZodType, data: unknown): Array<[string, string]> => {
  const read = readShape(shape, data)
  return read.success ? [] : read.faults.map(({ pointer, detail }) => [pointer, detail])
}

t.test('faults are told in the words of this service', async t => {
  const cases: Array<[shape: z.ZodType, data: unknown, detail: string]> = [
    [z.string(), undefined, 'is missing'],
    [z.string(), [], 'must be text'],
    [z.number(), '1', 'must be a number'],
    [z.int(), 1.5, 'must be a whole number'],
    [z.boolean(), 'yes', 'must be true or false'],
    [z.object({}), 'x', 'must be an object'],
    [z.record(z.string(), z.string()), [], 'must be an object'],
    [z.array(z.string()), {}, 'must be a list'],
    [z.date(), 'x', 'must be of another type'],
    [z.string().min(2), 'a', 'must have at least 2 characters'],
    [z.string().max(2), 'abc', 'must have at most 2 characters'],
    [z.array(z.string()).min(1), [], 'must have at least 1 entries'],
    [z.array(z.string()).max(1), ['a', 'b'], 'must have at most 1 entries'],
    [z.int().min(1980), 7, 'must be at least 1980'],
    [z.int().max(2200), 9999, 'must be at most 2200'],
    [z.number().gt(0), 0, 'must be more than 0'],
    [z.number().lt(1), 1, 'must be less than 1'],
    [z.enum(['off', 'none']), 'on', 'must be one of off, none'],
    [z.enum(['off', 'none']), undefined, 'is missing'],
    [z.literal('x'), 'y', 'must be x'],
    [z.strictObject({}), { secret: 1 }, 'has members that are not known'],
    [z.string().regex(/^a$/), 'secret', 'has the wrong form'],
    [z.uuid(), 'secret', 'has the wrong form'],
    [z.union([z.string(), z.number()]), true, 'has the wrong form'],
    [z.string().refine(() => false), 'secret', 'has the wrong form'],
    [z.string().min(2, 'must say why'), 'a', 'must say why']
  ]
  for (const [shape, data, detail] of cases) t.strictSame(faultsOf(shape, data), [['', detail]], detail)
  t.strictSame(faultsOf(z.record(z.string().max(1), z.string()), { ab: 'x' }), [['/ab', 'has a name that is not taken']])
})

t.test('a fault is pointed at as RFC 6901 says, and 20 are enough', async t => {
  const shape = z.looseObject({ 'a/b~c': z.array(z.string()).optional() })
  t.strictSame(faultsOf(shape, { 'a/b~c': ['x', 1] }), [['/a~1b~0c/1', 'must be text']])
  t.strictSame(faultsOf(shape, 1), [['', 'must be an object']], 'the whole has the empty pointer')
  t.equal(faultsOf(z.array(z.string()), Array.from({ length: 50 }, () => 1)).length, 20)
})

t.test('what is read is what the shape makes of it', async t => {
  t.strictSame(readShape(z.string().transform(Number), '7'), { success: true, data: 7 })
})
