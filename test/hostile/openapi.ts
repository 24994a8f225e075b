/** The service's own description of itself, as the fuzz run reads it. */

export interface Schema {
  $ref?: string
  type?: string
  format?: string
  pattern?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | boolean
  propertyNames?: Schema
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
}

type Content = Record<string, { schema?: Schema }>

export interface Parameter { name: string, in: 'query' | 'path' | 'header', required?: boolean, schema: Schema }

export interface Operation {
  /** As `GET /v1/consent`. */
  name: string
  method: string
  path: string
  /** Any of these scopes will do; none: it is open to everybody. */
  scopes: string[]
  parameters: Parameter[]
  body: Schema | undefined
  /** By status. */
  answers: Record<string, Content>
}

interface DescribedOperation {
  security?: Array<{ accessToken: string[] }>
  parameters?: Parameter[]
  requestBody?: { content: Content }
  responses: Record<string, { content?: Content }>
}

export interface ApiDocument { paths: Record<string, Record<string, DescribedOperation>>, components: object }

export function operationsOf ({ paths }: ApiDocument): Operation[] {
  return Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, described]) => ({
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    scopes: (described.security ?? []).flatMap(({ accessToken }) => accessToken),
    parameters: described.parameters ?? [],
    body: described.requestBody?.content['application/json']?.schema,
    answers: Object.fromEntries(Object.entries(described.responses).map(([status, { content = {} }]) => [status, content]))
  })))
}
