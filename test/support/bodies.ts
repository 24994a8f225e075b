/** Posts bodies to /v1/events exactly as they are given. */
import { makeBatch, makeEvent, heartbeat, type Answer } from './api.ts'
import type { TestService } from './service.ts'

export type PostBody = (body: string | Uint8Array, headers?: Record<string, string>) => Promise<Answer>

/** A header of the value '' is left out. */
export function makePostBody (service: TestService, token: string): PostBody {
  return async (body, headers = {}) => {
    const given = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }
    const response = await fetch(`${service.service.url}/v1/events`, {
      method: 'POST',
      headers: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== '')),
      body: Buffer.from(body as string) // As bytes: a text would bring a content type of its own.
    })
    return { status: response.status, headers: response.headers, body: await response.json() as Record<string, any> }
  }
}

/** A batch of one required event, which is stored whatever anybody chose. */
export function requiredBatch (fields: Record<string, unknown> = {}): Record<string, unknown> {
  return makeBatch({ events: [makeEvent(heartbeat)], ...fields })
}
