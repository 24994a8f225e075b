/** Clients that never give up, and an oracle that knows what they were promised. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { heartbeat, makeBatch, makeEvent, type Api } from '../support/api.ts'

export interface Load {
  /** How many events were acknowledged so far. */
  acknowledged: () => number
  /** How often each answer came; `none` when there was no answer. */
  answers: Map<number | 'none', number>
  /** Ends when each client has the batch in its hands acknowledged. */
  stop: () => Promise<void>
  /** What is wrong with the rows that are stored; all 0 when every promise was kept. */
  judge: (rows: ReadonlyArray<{ event_id: string, properties: string }>) => { lost: number, overcount: number, forbidden: number, mutated: number }
}

/** `api`: the service as it can be reached at the moment. Each batch has events of its three kinds: required, agreed to, not agreed to. */
export function startLoad (t: Test, api: () => Api, token: string, clients = 8): Load {
  const sent = new Map<string, string>()
  const promised = new Set<string>()
  const forbidden = new Set<string>()
  const answers = new Map<number | 'none', number>()
  let stopping = false
  let abandoned = false
  t.teardown(() => { stopping = abandoned = true })

  const postUntilAcknowledged = async (batch: Record<string, unknown>): Promise<void> => {
    while (!abandoned) {
      const answer = await api().call('POST', '/v1/events', { token, body: batch }).catch(() => undefined)
      answers.set(answer?.status ?? 'none', (answers.get(answer?.status ?? 'none') ?? 0) + 1)
      if (answer?.status === 202) return
      if (answer?.status === 503 && answer.headers.get('retry-after') === null) throw new Error('a 503 does not say when to come back')
      await sleep(20)
    }
  }

  const running = Array.from({ length: clients }, async () => {
    while (!stopping) {
      const kept = [...Array.from({ length: 20 }, () => makeEvent()), ...Array.from({ length: 5 }, () => makeEvent(heartbeat))]
      const refused = makeEvent({ name: 'crash.reported', properties: { signature: '0'.repeat(64), kind: 'hang' } })
      for (const event of kept) sent.set(event['id'] as string, JSON.stringify(event['properties']))
      forbidden.add(refused['id'] as string)
      await postUntilAcknowledged(makeBatch({ events: [...kept, refused] }))
      for (const event of kept) promised.add(event['id'] as string)
    }
  })

  return {
    acknowledged: () => promised.size,
    answers,
    async stop () {
      stopping = true
      await Promise.all(running)
    },
    judge (rows) {
      const stored = new Map(rows.map(row => [row.event_id, row.properties]))
      return {
        lost: [...promised].filter(id => !stored.has(id)).length,
        overcount: rows.length - stored.size,
        forbidden: [...stored.keys()].filter(id => forbidden.has(id) || !sent.has(id)).length,
        mutated: [...stored].filter(([id, properties]) => sent.has(id) && sent.get(id) !== properties).length
      }
    }
  }
}
