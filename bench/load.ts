/** One load generator for everything that is measured. */
import autocannon from 'autocannon'

export interface LoadResult {
  requestsPerSecond: number
  p99Ms: number
  /** Answers by status. */
  refused: number
}

interface Load { url: string, token: string, bodies: readonly string[], connections: number }

/** Posts the bodies in turn, over and over, for `seconds`. Says so when anything but 202 came back. */
export async function postForSeconds ({ seconds, ...load }: Load & { seconds: number }): Promise<LoadResult> {
  const result = await autocannon({ ...optionsOf(load), duration: seconds })
  const refused = result.non2xx + result.errors
  return { requestsPerSecond: result['2xx'] / result.duration, p99Ms: result.latency.p99, refused }
}

/** Posts each body once; the seconds it took. */
export async function postOnce (load: Load): Promise<number> {
  const { bodies } = load
  let next = 0
  const started = performance.now()
  const [request] = optionsOf(load).requests
  const result = await autocannon({
    ...optionsOf(load),
    amount: bodies.length,
    requests: [{ ...request, setupRequest: built => ({ ...built, body: bodies[next++ % bodies.length]! }) }]
  })
  if (result['2xx'] !== bodies.length) throw new Error(`${String(result.non2xx + result.errors)} of ${String(bodies.length)} batches were refused`)
  return (performance.now() - started) / 1000
}

/** Requests are put together beforehand, and every connection goes through them in turn: what is measured has the cores. */
function optionsOf ({ url, token, bodies, connections }: Load): { url: string, connections: number, requests: autocannon.Request[] } {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  return { url: `${url}/v1/events`, connections, requests: bodies.map(body => ({ method: 'POST', headers, body })) }
}
