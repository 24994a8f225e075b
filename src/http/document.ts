/** How the service describes itself: OpenAPI 3.1, from the routes. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { RouteOptions } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { problems, type ProblemSlug } from './problem.ts'

const problemRef = { $ref: '#/components/schemas/Problem' }
const ofEveryRequest: readonly ProblemSlug[] = ['invalid-request', 'request-timeout', 'expectation-failed', 'headers-too-large']
const ofBodies: readonly ProblemSlug[] = ['invalid-json', 'batch-too-large', 'unsupported-media-type']

/** What a route may answer instead of what it is for: what it says itself, and what everything of its kind is refused with. */
function problemsOf ({ url, method, config }: RouteOptions): ProblemSlug[] {
  const takesBody = [method].flat().some(one => one !== 'GET' && one !== 'HEAD')
  return [...new Set([
    ...ofEveryRequest,
    ...(url.includes(':') ? ['uri-too-long'] as const : []),
    ...(takesBody ? ofBodies : []),
    ...(config?.unlimited === true && config.scope === undefined ? [] : ['rate-limited'] as const),
    ...(config?.scope === undefined ? [] : ['invalid-token', 'insufficient-scope', 'unavailable', config.unavailable ?? 'unavailable'] as const),
    ...config?.problems ?? []
  ])]
}

function describeProblems (slugs: readonly ProblemSlug[]): Record<string, object> {
  const byStatus = Object.groupBy(slugs, slug => problems[slug].status)
  return Object.fromEntries(Object.entries(byStatus).map(([status, kinds]) => [status, {
    description: kinds.map(slug => `\`${slug}\`: ${problems[slug].title}.`).join(' '),
    content: { 'application/problem+json': { schema: { ...problemRef, properties: { type: { enum: kinds.map(slug => `/problems/${slug}`) } } } } }
  }]))
}

interface Operation { responses?: Record<string, unknown>, 'x-problems'?: readonly ProblemSlug[] }

export const document: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: { title: 'Assent', version: '1', description: 'Usage analytics that honours consent.', license: { name: 'Apache-2.0' } },
    components: {
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        Problem: {
          description: 'RFC 9457',
          type: 'object',
          required: ['type', 'title', 'status', 'detail', 'instance'],
          properties: {
            type: { type: 'string', description: 'Where the kind of problem is explained' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            instance: { type: 'string', description: 'The path that was asked for' },
            errors: {
              type: 'array',
              items: { type: 'object', required: ['pointer', 'detail'], properties: { pointer: { type: 'string' }, detail: { type: 'string' } } }
            }
          }
        }
      }
    }
  },
  /** What a route asks of its callers is read from what it enforces, so that the two cannot differ. */
  transform: given => {
    const { url, schema } = jsonSchemaTransform(given)
    const scope = given.route.config?.scope
    return {
      url,
      schema: {
        ...schema,
        'x-problems': problemsOf(given.route),
        response: schema.response ?? { 200: { description: schema.summary } },
        ...(scope === undefined ? {} : { security: [scope].flat().map(one => ({ accessToken: [one] })) })
      }
    }
  },
  /** Problems come in last: with a shape that is written once. */
  transformObject: given => {
    if (!('openapiObject' in given)) return given.swaggerObject
    for (const operation of Object.values(given.openapiObject.paths ?? {}).flatMap(path => Object.values(path as Record<string, Operation>))) {
      const { 'x-problems': slugs = [], responses } = operation
      delete operation['x-problems']
      operation.responses = {
        ...describeProblems(slugs),
        ...responses,
        default: { description: 'Another problem', content: { 'application/problem+json': { schema: problemRef } } }
      }
    }
    return given.openapiObject
  }
}
