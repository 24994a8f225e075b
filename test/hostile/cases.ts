/** Requests of every operation of the document: who asks, for what, and what is wrong with it. */
import fc from 'fast-check'
import { batch, type Batch } from './batches.ts'
import { rightBody, spoiledBody, type Body } from './bodies.ts'
import { hostileHeader, hostileText, marker } from './hostile-values.ts'
import type { Operation, Parameter, Schema } from './openapi.ts'
import { valueOf } from './schema-values.ts'

export type CallerName = (typeof callerNames)[number]
export const callerNames = [
  'nobody', 'forger', 'stranger', 'mia', 'nico', 'ada', 'grace', 'tom', 'olga', 'device', 'reader', 'admin', 'delegate', 'security'
] as const

/** What is wrong with a request; `nothing` where it may be right. */
export type Fault = 'nothing' | 'caller' | 'path' | 'query' | 'headers' | 'body' | 'method' | 'batch'

export interface Case {
  operation: Operation
  fault: Fault
  method: string
  caller: CallerName
  /** Takes the place of the parameter in the path, percent-encoded; undefined: what `known` finds. */
  segments: Record<string, string | undefined>
  /** Which of the things that are there is asked for. */
  known: number
  query: string
  headers: Record<string, string>
  body: Body | undefined
  batch?: (now: number) => Batch
}

/** Who may call an operation, by the scopes that it accepts. */
const callersOf: Readonly<Record<string, readonly CallerName[]>> = {
  'telemetry:write': ['mia', 'mia', 'nico'],
  settings: ['ada', 'ada', 'ada', 'grace', 'tom', 'olga', 'device'],
  'privacy:read': ['reader', 'admin'],
  'privacy:admin': ['admin'],
  'verification:delegate': ['delegate'],
  'security:admin': ['security']
}

const badSegments: readonly string[] = ['%zz', '%ff', '%00', '%2e%2e', '..%2f..%2fetc', '%5c..', 'a%2fb', '%0d%0aSet-Cookie:a', '%1b[31m', 'x'.repeat(600), '%F0%9F%98%80', '*', '%25', ';a=b', '%3Fa', '%23']
const queryText = hostileText.map(text => encodeURIComponent(text.toWellFormed()))
const badQueries: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('%zz', '%ff=1', 'limit=1&limit=2', 'limit[]=1', 'limit=-1', 'limit=1e9', 'cursor=abc', 'cursor=', '__proto__[a]=1', 'constructor=1', '&&&&', '=', 'a=%00', 'from=2027-01-01&to=2020-01-01', 'a=1&'.repeat(2000), `cursor=${'A'.repeat(5000)}`, `access_token=${marker}`),
  fc.tuple(fc.constantFrom('limit', 'cursor', 'account_id', 'device_id', 'purpose', 'from', 'to', 'as_of', 'interval', 'group_by', 'product', 'release', 'zone'), queryText).map(([name, value]) => `${name}=${value}`)
)
const badHeaders: fc.Arbitrary<Record<string, string>> = fc.oneof(
  fc.constantFrom<Record<string, string>>(
    { expect: 'bogus' }, { accept: 'text/xml' }, { accept: '*/*;q=0' }, { 'accept-encoding': '\\' }, { 'x-http-method-override': 'DELETE' }, { 'x-forwarded-host': 'evil.example' }, { 'x-original-url': '/metrics' },
    { range: 'bytes=0-0,5-' }, { upgrade: 'h2c', connection: 'upgrade, http2-settings' }, { te: 'trailers' }, { 'content-length-x': '1' }, { 'if-match': '*' }, { 'if-match': '"0"' }, { 'if-match': 'W/"1"' }, { 'if-none-match': '*' },
    { origin: 'null' }, { 'content-language': 'x'.repeat(4000) }, { 'purpose-of-use': ' ' }, { 'purpose-of-use': 'x'.repeat(501) }
  ),
  fc.tuple(fc.constantFrom('user-agent', 'referer', 'cookie', 'x-forwarded-for', 'forwarded', 'x-request-id', 'traceparent', 'baggage', 'if-match', 'if-none-match', 'verification-token', 'purpose-of-use', 'accept-language', 'accept', 'origin', 'via'), hostileHeader)
    .map(([name, value]) => ({ [name]: value }))
)

const queryOf = (parameters: readonly Parameter[]): fc.Arbitrary<string> => {
  const asked = parameters.filter(parameter => parameter.in === 'query' && parameter.name !== 'cursor')
  const required = asked.filter(parameter => parameter.required === true).map(({ name }) => name)
  return fc.record(Object.fromEntries(asked.map(({ name, schema }) => [name, valueOf(schema, name)])), { requiredKeys: required as never[] })
    .map(values => Object.entries(values).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&'))
}

/** Ids are those of what is there; other names in a path are like those in a body. */
const segmentsOf = (parameters: readonly Parameter[], spoiled: boolean): fc.Arbitrary<Record<string, string | undefined>> =>
  fc.record(Object.fromEntries(parameters.filter(parameter => parameter.in === 'path').map(({ name, schema }) => {
    const right = valueOf(schema, name).map(value => encodeURIComponent(String(value)))
    if (spoiled) return [name, fc.oneof(fc.constantFrom(...badSegments), queryText.filter(text => text !== ''))]
    return [name, /(?:^|_)id$/.test(name) && !/^(?:account|device|org)_id$/.test(name) ? fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: right }) : right]
  })))

const bodyOf = (schema: Schema | undefined, spoiled: boolean): fc.Arbitrary<Body | undefined> => {
  if (spoiled) return spoiledBody(valueOf(schema ?? { type: 'object', properties: {} }))
  return schema === undefined ? fc.constant(undefined) : rightBody(valueOf(schema))
}

const usualHeaders: fc.Arbitrary<Record<string, string>> = fc.record({
  'purpose-of-use': fc.constant('request 4711'),
  'if-match': fc.constantFrom('CURRENT', 'CURRENT', '"1"'),
  'verification-token': fc.constantFrom('OWN', 'OWN', 'SPENT', 'FOREIGN')
}, { requiredKeys: ['purpose-of-use'] })

function casesOf (operation: Operation): fc.Arbitrary<Case> {
  const { method, parameters, body, scopes } = operation
  const callers = scopes.flatMap(scope => callersOf[scope] ?? [])
  const rightCaller = fc.constantFrom<CallerName>(...(callers.length === 0 ? ['nobody' as const, 'ada' as const] : callers))
  const cases = (fault: Fault): fc.Arbitrary<Case> => fc.record({
    operation: fc.constant(operation),
    fault: fc.constant(fault),
    method: fault === 'method' ? fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'PURGE') : fc.constant(method),
    caller: fault === 'caller' ? fc.constantFrom(...callerNames) : rightCaller,
    segments: segmentsOf(parameters, fault === 'path'),
    known: fc.nat(),
    query: fault === 'query' ? fc.oneof(badQueries, fc.tuple(queryOf(parameters), badQueries).map(parts => parts.join('&'))) : queryOf(parameters),
    headers: fault === 'headers' ? fc.tuple(usualHeaders, badHeaders).map(([usual, bad]) => ({ ...usual, ...bad })) : usualHeaders,
    body: bodyOf(body, fault === 'body')
  })
  const faults: Array<[number, Fault]> = [[4, 'nothing'], [3, 'caller'], [2, 'query'], [2, 'headers'], [1, 'method']]
  if (operation.path.includes('{')) faults.push([2, 'path'])
  if (method !== 'GET') faults.push([body === undefined ? 1 : 8, 'body'])
  return fc.oneof(...faults.map(([weight, fault]) => ({ weight, arbitrary: cases(fault) })))
}

const batches = (operation: Operation): fc.Arbitrary<Case> =>
  fc.record({
    operation: fc.constant(operation),
    fault: fc.constant<Fault>('batch'),
    method: fc.constant('POST'),
    caller: fc.constantFrom<CallerName>('mia', 'nico'),
    segments: fc.constant({}),
    known: fc.constant(0),
    query: fc.constant(''),
    headers: fc.constant({}),
    body: fc.constant(undefined),
    batch
  })

/** All operations: events most of all, what asks ClickHouse least. */
export function everyCase (operations: readonly Operation[]): fc.Arbitrary<Case> {
  const weighed = operations.flatMap(operation => {
    const weight = /\/privacy\/|\/dev\/sql|\/receipt|\/export/.test(operation.path) && !operation.path.startsWith('/v1/me/privacy/stop') ? 1 : 3
    const own = { weight, arbitrary: casesOf(operation) }
    return operation.name === 'POST /v1/events' ? [own, { weight: 40, arbitrary: batches(operation) }] : [own]
  })
  return fc.oneof(...weighed)
}
