/** What every answer must be, whatever was asked. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { innards } from '../support/problems.ts'
import type { Case } from './cases.ts'
import { marker } from './hostile-values.ts'
import type { ApiDocument, Schema } from './openapi.ts'
import type { Received } from './send.ts'
import type { World } from './world.ts'

export interface Asked { asked: Case, target: string, foreign: boolean }

/** What is wrong with an answer; nothing, if it is as promised. */
export type Judge = (asked: Asked, answer: Received) => string[]

/** What a request about another's thing may be answered: never whether it is there. */
const ofForeign = new Set([400, 401, 403, 404, 413, 415, 417])

export function makeJudge ({ document, scopesOf }: Pick<World, 'document' | 'scopesOf'>): Judge {
  const fits = makeFits(document)

  return ({ asked, target, foreign }, answer) => {
    const { operation, caller, fault } = asked
    const { status } = answer
    const faults = judgeHead(answer)
    const body = bodyOf(answer)
    const isProblem = status >= 400 && !(operation.path === '/health/ready' && status === 503)
    if (status >= 500) faults.push('is a failure of the service')
    if (isProblem) faults.push(...judgeProblem(fits, answer, body, target, operation.path === '/dev/sql'))
    else if (faults.length === 0) faults.push(...judgeContent(fits, asked, answer, body))

    const taken = new Set(Object.entries(document.paths[operation.path] ?? {}).map(([method]) => method.toUpperCase()))
    if (!taken.has(asked.method)) {
      const allow = String(answer.headers['allow'] ?? '').split(', ')
      if (status !== 405 || ![...taken].every(method => allow.includes(method))) faults.push('is another than 405 with what is taken')
      return faults
    }
    if (fault === 'method') return faults // Another operation of the same path: its own cases say what it answers.
    const documented = operation.answers[String(status)]
    const isAddress = fault === 'path' && status === 404
    if (documented === undefined && !isAddress) faults.push('has a status that is not in the document')
    const problem = documented?.['application/problem+json']?.schema?.properties?.['type']?.enum
    if (isProblem && problem !== undefined && !problem.includes(body['type']) && !isAddress) faults.push(`is a problem of a type that is not in the document: ${String(body['type'])}`)

    const scopes = scopesOf(caller)
    const early = status === 417 || status === 414 || isAddress
    if (operation.scopes.length > 0 && !early) {
      if (scopes === undefined && status !== 401) faults.push('is given to a caller without a token that is right')
      if (scopes !== undefined && !scopes.some(scope => operation.scopes.includes(scope)) && status !== 403) faults.push('is given to a caller without the scope')
    }
    if (foreign && !ofForeign.has(status)) faults.push('tells of what is another\'s')
    return faults
  }
}

function judgeHead ({ headers }: Received): string[] {
  const faults: string[] = []
  if (headers['cache-control'] !== 'no-store') faults.push('may be cached')
  if (headers['x-content-type-options'] !== 'nosniff') faults.push('may be sniffed')
  if (headers['server'] !== undefined || headers['x-powered-by'] !== undefined) faults.push('names what it runs on')
  if (headers['set-cookie'] !== undefined) faults.push('sets a cookie')
  return faults
}

const problemSchema: Schema = { $ref: '#/components/schemas/Problem' }

type Fits = (schema: Schema, value: unknown) => string | undefined

function makeFits (document: ApiDocument): Fits {
  const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema({ $id: 'service', components: document.components })
  const compiled = new Map<Schema, ValidateFunction>()
  return (schema, value) => {
    const validate = compiled.get(schema) ?? ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"service#/')) as object)
    compiled.set(schema, validate)
    return validate(value) ? undefined : ajv.errorsText(validate.errors)
  }
}

function judgeContent (fits: Fits, { operation, method }: Case, { status, headers, bytes }: Received, body: Record<string, unknown>): string[] {
  const documented = operation.answers[String(status)]
  if (documented === undefined || operation.method !== method) return []
  const type = String(headers['content-type'] ?? '').split(';', 1)[0]!
  if (Object.keys(documented).length === 0) return bytes.length === 0 ? [] : ['has a body where none is documented']
  const schema = Object.entries(documented).find(([name]) => name.split(';', 1)[0] === type)?.[1]
  if (schema === undefined) return [`is of a media type that is not in the document: ${type}`]
  const misfit = type === 'application/json' && schema.schema !== undefined ? fits(schema.schema, body) : undefined
  return misfit === undefined ? [] : [`is not as documented: ${misfit}`]
}

function judgeProblem (fits: Fits, { status, headers }: Received, body: Record<string, unknown>, target: string, isConsole: boolean): string[] {
  if (!/^application\/problem\+json\b/.test(String(headers['content-type']))) return ['is no problem document']
  const faults: string[] = []
  const misfit = fits(problemSchema, body)
  if (misfit !== undefined) faults.push(`is no whole problem document: ${misfit}`)
  if (body['status'] !== status) faults.push('states another status in its body')
  if (!String(body['type']).startsWith('/problems/')) faults.push('names no kind of problem')
  if (body['instance'] !== '' && body['instance'] !== target.split('?', 1)[0]) faults.push(`states another path: ${String(body['instance'])}`)
  if ((status === 429 || status === 503) && !/^[1-9][0-9]*$/.test(String(headers['retry-after']))) faults.push('does not say when to come back')
  const isValidation = body['type'] === '/problems/invalid-batch' || (body['type'] === '/problems/invalid-request' && body['instance'] !== '')
  const { errors } = body
  if (isValidation && (!Array.isArray(errors) || errors.length === 0 || errors.some(({ pointer }) => !/^(?:\/|$)/.test(String(pointer))))) faults.push('does not point at what is wrong')
  const own = JSON.stringify({ ...body, instance: '' })
  if (!isConsole && innards.test(own)) faults.push('shows the words of a library')
  if (!isConsole && [body['title'], body['detail']].some(text => String(text).includes(marker))) faults.push('quotes what was sent')
  return faults
}

function bodyOf ({ headers, bytes }: Received): Record<string, unknown> {
  if (!/json\b/.test(String(headers['content-type'])) || bytes.length === 0) return {}
  try {
    return JSON.parse(bytes.toString()) as Record<string, unknown>
  } catch {
    return {}
  }
}
