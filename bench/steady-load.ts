/** Batches at a fixed rate, whether or not the service keeps up. */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** Sooner than they are told to: a wait of a second would be most of what is measured. */
const retryMs = 50

export interface SteadyLoad { url: string, token: string, bodies: readonly string[], perSecond: number }

/**
 * Posts the bodies in turn until `until` settles; how long each took to its 202, in ms. The time of a batch counts from the
 * moment it was due, so that a stall is felt by all that it holds up; one that is refused for the load is sent again.
 */
export async function postSteadily ({ url, token, bodies, perSecond }: SteadyLoad, until: Promise<unknown>): Promise<number[]> {
  const agent = new Agent({ keepAlive: true })
  const answers: Array<Promise<number>> = []
  const ended = until.then(() => true, () => true)
  const started = performance.now()
  let failed: unknown
  do {
    const passedMs = performance.now() - started
    while (answers.length * 1000 / perSecond <= passedMs) {
      const due = started + answers.length * 1000 / perSecond
      const answer = post(agent, url, token, bodies[answers.length % bodies.length]!).then(() => performance.now() - due)
      answer.catch((error: unknown) => { failed ??= error })
      answers.push(answer)
    }
  } while (failed === undefined && !await Promise.race([ended, sleep(1, false)]))
  const times = await Promise.all(answers)
  await until
  agent.destroy()
  return times
}

async function post (agent: Agent, url: string, token: string, body: string): Promise<void> {
  for (;;) {
    const status = await postOnce(agent, url, token, body)
    if (status === 202) return
    if (status !== 503) throw new Error(`a batch was answered ${String(status)}`)
    await sleep(retryMs)
  }
}

async function postOnce (agent: Agent, url: string, token: string, body: string): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), authorization: `Bearer ${token}` }
    const sent = request(`${url}/v1/events`, { method: 'POST', agent, headers }, response => {
      response.resume()
      response.once('end', () => { resolve(response.statusCode) })
    })
    sent.once('error', reject)
    sent.end(body)
  })
}
