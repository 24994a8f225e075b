/** The privacy team, asking a running service. */
import type { Answer } from './api.ts'
import type { TestService } from './service.ts'

export interface Team {
  token: string
  ask: (path: string, body?: unknown) => Promise<Answer>
}

/** A member of the team who may read, unless told otherwise. A question with a body is posted. */
export async function joinTeam (service: TestService, name = 'tess', scope = 'privacy:read'): Promise<Team> {
  const token = await service.token({ sub: name, scope, expires_in: 31_536_000 })
  return {
    token,
    ask: async (path, body) => await service.call(body === undefined ? 'GET' : 'POST', `/v1/privacy/${path}`, { token, body, headers: { 'purpose-of-use': 'request 4711' } })
  }
}
