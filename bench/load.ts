/** One load generator for everything that is measured. */
import autocannon from 'autocannon'

export interface LoadResult {
  requestsPerSecond: number
  p99Ms: number
  /** Answers by status. */
  refused: number
}

/** Posts the bodies in turn, over and over, for `seconds`. Says so when anything but 202 came back. */
export async function postForSeconds (
  { url, token, bodies, connections, seconds }: { url: string, token: string, bodies: readonly string[], connections: number, seconds: number }
): Promise<LoadResult> {
  let next = 0
  const result = await autocannon({
    url: `${url}/v1/events`,
    connections,
    duration: seconds,
    requests: [{
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      setupRequest: request => ({ ...request, body: bodies[next++ % bodies.length]! })
    }]
  })
  const refused = result.non2xx + result.errors
  return { requestsPerSecond: result['2xx'] / result.duration, p99Ms: result.latency.p99, refused }
}

/** Posts each body once, `connections` at a time; the seconds it took. */
export async function postOnce (
  { url, token, bodies, connections }: { url: string, token: string, bodies: readonly string[], connections: number }
): Promise<number> {
  let next = 0
  const started = performance.now()
  const result = await autocannon({
    url: `${url}/v1/events`,
    connections,
    amount: bodies.length,
    requests: [{
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      setupRequest: request => ({ ...request, body: bodies[next++ % bodies.length]! })
    }]
  })
  if (result['2xx'] !== bodies.length) throw new Error(`${String(result.non2xx + result.errors)} of ${String(bodies.length)} batches were refused`)
  return (performance.now() - started) / 1000
}
