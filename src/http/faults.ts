/** What a body or a parameter misses, in this service's words: a library's would change with it, and may quote what was sent. */
import type { FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import { Problem } from './problem.ts'

const names: Readonly<Record<string, string>> = {
  string: 'text', number: 'a number', int: 'a whole number', boolean: 'true or false', object: 'an object', record: 'an object', array: 'a list', null: 'null'
}
const counted: Readonly<Record<string, string>> = { string: 'characters', array: 'entries', set: 'entries', map: 'entries', object: 'members' }

/** What is said where a shape itself says nothing. */
const inOurWords: z.core.$ZodErrorMap = issue => {
  switch (issue.code) {
    case 'invalid_type': return issue.input === undefined ? 'is missing' : `must be ${names[issue.expected] ?? 'of another type'}`
    case 'too_small': return boundary(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum)
    case 'too_big': return boundary(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum)
    case 'invalid_value': return issue.input === undefined ? 'is missing' : `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`
    case 'unrecognized_keys': return 'has members that are not known'
    case 'invalid_key': return 'has a name that is not taken'
    default: return 'has the wrong form'
  }
}

function boundary (origin: string, side: string, bound: number | bigint): string {
  const what = counted[origin]
  return what === undefined ? `must be ${side} ${String(bound)}` : `must have ${side} ${String(bound)} ${what}`
}

/** What `data` is in this shape, or the faults that are told of it. */
export function readShape<Shape extends z.ZodType> (shape: Shape, data: unknown): { success: true, data: z.output<Shape> } | { success: false, faults: Fault[] } {
  const result = shape.safeParse(data, { error: inOurWords })
  return result.success ? result : { success: false, faults: faultsOf(result.error) }
}

export interface Fault { pointer: string, detail: string }

/** As members of a problem document. A pointer is that of RFC 6901; no value is quoted. */
function faultsOf (error: z.ZodError): Fault[] {
  return error.issues.slice(0, 20).map(({ path, message }) => ({
    pointer: path.map(part => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    detail: message
  }))
}

/** Has routes read their bodies and parameters by their shapes. */
export const compileShape: FastifySchemaCompiler<z.ZodType> = ({ schema }) => data => {
  const read = readShape(schema, data)
  return read.success ? { value: read.data } : { error: new Problem('invalid-request', { errors: read.faults }) }
}
