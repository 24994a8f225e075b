/** For development only: tokens for whoever asks, the mail that would have gone out, and read-only SQL. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Problem } from '../problem.ts'
import { deviceIdShape, showTime, shownTime } from '../shapes.ts'

export interface DevRouteOptions {
  mintToken: (request: z.infer<typeof tokenRequest>) => Promise<{ access_token: string, expires_in: number }>
  /** Undefined when mail goes out over SMTP. */
  lettersTo: ((address: string) => Array<{ to: string, subject: string, text: string, at: number }>) | undefined
  /** Undefined in a process without ClickHouse. */
  runSql: ((statement: string) => Promise<{ ok: true, ndjson: string } | { ok: false, detail: string }>) | undefined
}

const config = { public: true } as const
const tokenRequest = z.strictObject({
  sub: z.string().min(1).max(255).optional(),
  email: z.string().max(320).optional(),
  scope: z.string().max(1000),
  device_id: deviceIdShape.optional(),
  org_id: z.string().min(1).max(255).optional(),
  account_kind: z.enum(['personal', 'organization']).optional(),
  region: z.string().max(64).optional(),
  locale: z.string().max(64).optional(),
  auth_time: z.int().min(0).optional(),
  expires_in: z.int().min(1).max(31_536_000).optional()
})

export function devRoutes ({ mintToken, lettersTo, runSql }: DevRouteOptions): FastifyPluginAsyncZod {
  return async app => {
    app.post('/dev/token', {
      config,
      schema: {
        summary: 'Get an access token', tags: ['development'], body: tokenRequest, response: { 200: z.object({ access_token: z.string(), expires_in: z.int() }) }
      }
    }, async request => await mintToken(request.body))

    if (lettersTo !== undefined) {
      app.get('/dev/inbox', {
        config,
        schema: {
          summary: 'Read the mail to an address',
          tags: ['development'],
          querystring: z.strictObject({ to: z.string().min(1).max(320) }),
          response: { 200: z.array(z.object({ to: z.string(), subject: z.string(), text: z.string(), at: shownTime })) }
        }
      }, async request => lettersTo(request.query.to).map(letter => ({ ...letter, at: showTime(letter.at) })))
    }

    if (runSql === undefined) return
    await app.register(async sql => {
      sql.removeAllContentTypeParsers()
      sql.addContentTypeParser('*', { parseAs: 'string', bodyLimit: 65_536 }, async (_request: unknown, body: string) => body)
      sql.post('/dev/sql', {
        config: { public: true, problems: ['invalid-query'] },
        schema: { summary: 'Run one read-only SQL statement; answers NDJSON', tags: ['development'], produces: ['application/x-ndjson'] }
      }, async (request, reply) => {
        const answer = await runSql(typeof request.body === 'string' ? request.body : '')
        if (!answer.ok) throw new Problem('invalid-query', { detail: answer.detail })
        return await reply.type('application/x-ndjson').send(answer.ndjson)
      })
    })
  }
}
