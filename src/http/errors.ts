/** Turns whatever went wrong into a problem document. No stack and no library's words go out. */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Unavailable } from '../domain/unavailable.ts'
import { answerHeaders, Problem, problemDocument, problems, sendProblem, type ProblemSlug } from './problem.ts'

/** What Fastify itself refuses, by its code. */
const ofFastify: Readonly<Record<string, ProblemSlug>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'batch-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid-request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid-json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid-json',
  FST_ERR_BAD_URL: 'not-found',
  FST_ERR_MAX_PARAM_LENGTH: 'uri-too-long'
}

/** Far less than a request may take: nobody is to be kept by a body without end. */
const readOnMs = 2000

interface Thrown extends Error { code?: string, statusCode?: number }

export function registerErrors (app: FastifyInstance): void {
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new Problem('not-found')))
  app.setErrorHandler((error: Thrown, request, reply) => {
    if (error instanceof Problem) return sendProblem(reply, error)
    if (error instanceof Unavailable) {
      request.log.warn({ route: request.routeOptions.url, what: error.message }, 'request.unavailable')
      return sendProblem(reply, new Problem(request.routeOptions.config.unavailable ?? 'unavailable'))
    }
    if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') readOn(request, reply)
    const slug = ofFastify[error.code ?? '']
    if (slug !== undefined) return sendProblem(reply, new Problem(slug))
    if (error.statusCode !== undefined && error.statusCode < 500) return sendProblem(reply, new Problem('invalid-request'))
    request.log.error({ route: request.routeOptions.url, kind: error.name, code: error.code, stack: placesOf(error) }, 'request.failed')
    return sendProblem(reply, new Problem('internal-error'))
  })
}

/**
 * A connection that is closed while its client still sends may lose the answer, and the client would send the same again.
 * For a moment what remains is read and dropped.
 */
function readOn ({ raw }: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader('connection')
  raw.resume()
  reply.raw.once('finish', () => { setTimeout(() => { if (!raw.complete) raw.socket.destroy() }, readOnMs).unref() })
}

/** Where an error was thrown. Its message may quote what was sent, over several lines, and stands before the places. */
function placesOf ({ name, message, stack = '' }: Error): string[] {
  const told = `${name}: ${message}\n`
  return stack.startsWith(told) ? stack.slice(told.length).split('\n') : []
}

/** Answers what Fastify refuses before it has found a route. */
export function answerUnroutable (error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(reply, new Problem(ofFastify[error.code] ?? 'invalid-request'))
}

/** Answers what is no HTTP request, or no more of one, and closes. */
export interface BrokenRequests {
  /** To be told of every response that is begun. */
  note: (response: ServerResponse) => void
  /** To be told of every response that is through: what is kept of it costs memory until the connection is used again. */
  forget: (response: ServerResponse) => void
  answer: (error: Error & { code?: string }, socket: Socket) => void
}

export function makeBrokenRequests (): BrokenRequests {
  const latest = new WeakMap<Socket, ServerResponse>()
  return {
    note (response) { latest.set(response.req.socket, response) },
    forget (response) {
      const { req: { socket, complete } } = response
      if (complete && latest.get(socket) === response) latest.delete(socket)
    },
    answer (error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
      else if (isAnswered(latest.get(socket))) socket.destroySoon()
      else socket.end(answerTo(error))
    }
  }
}

/**
 * Whether what is broken belongs to a request that has its answer, or would end up inside of one: a second answer would
 * be taken for that to the next request, which on a proxy's connection is somebody else's.
 */
function isAnswered (response: ServerResponse | undefined): boolean {
  return response?.headersSent === true && (!response.req.complete || !response.writableFinished)
}

function answerTo (error: { code?: string }): string {
  const slug: ProblemSlug = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    ? 'request-timeout'
    : error.code === 'HPE_HEADER_OVERFLOW' ? 'headers-too-large' : 'invalid-request'
  const { status } = problems[slug]
  const body = JSON.stringify(problemDocument(slug, {}, ''))
  return [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}`, 'Content-Type: application/problem+json',
    ...Object.entries(answerHeaders).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${String(Buffer.byteLength(body))}`, 'Connection: close', '', body
  ].join('\r\n')
}
