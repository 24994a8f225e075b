/** What every refusal must look like (RFC 9457). */
import type { Test } from 'tap'
import type { Answer } from './api.ts'

/** Words of a library or a stack, which no answer may hold. */
export const innards = /node_modules|\.ts:|FST_|ERR_|HPE_|Zod|at Object|DB::Exception|Invalid (?:input|option|string|key|element)|Too (?:small|big)|Unrecognized key/

/** Asserts that an answer is the whole problem document of one kind. `instance` is the path that was asked for. */
export function isProblem (t: Test, { status, headers, body }: Answer, expected: number, slug: string, instance: string, about: string = slug): void {
  const found = {
    status, contentType: headers.get('content-type'), retryAfter: headers.get('retry-after'), ...body, innards: innards.test(JSON.stringify(body))
  }
  t.match(found, {
    status: expected,
    contentType: /^application\/problem\+json\b/,
    type: `/problems/${slug}`,
    title: /\w/,
    detail: /\w/,
    instance,
    innards: false,
    ...(expected === 429 || expected === 503 ? { retryAfter: /^[1-9][0-9]*$/ } : {})
  }, about)
}
