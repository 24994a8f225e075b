/** How the service describes itself: OpenAPI 3.1, from the routes. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'

/** Any answer that is none of those a route describes (RFC 9457). */
const problem = {
  description: 'A problem document',
  content: {
    'application/problem+json': {
      schema: {
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
}

export const document: FastifyDynamicSwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: { title: 'Assent', version: '1', description: 'Usage analytics that honours consent.', license: { name: 'Apache-2.0' } },
    components: { securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } }
  },
  /** What a route asks of its callers is read from what it enforces, so that the two cannot differ. */
  transform: given => {
    const { url, schema } = jsonSchemaTransform(given)
    const scope = given.route.config?.scope
    const response = { ...schema.response as object | undefined ?? { 200: { description: schema.summary } }, default: problem }
    return { url, schema: { ...schema, response, ...(scope === undefined ? {} : { security: [scope].flat().map(one => ({ accessToken: [one] })) }) } }
  }
}
