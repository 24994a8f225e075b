/** The traffic of all benchmarks: batches of events of about 180 bytes, each event with an id of its own. */
import { randomUUID } from 'node:crypto'

export const eventsPerBatch = 100

const kinds = [
  (i: number) => ({ name: 'command.run', properties: { command: ['LINE', 'CIRCLE', 'TRIM', 'HATCH', 'OFFSET'][i % 5], duration_ms: (i * 7919) % 60_000 } }),
  (i: number) => ({ name: 'file.open', properties: { format: ['dwg', 'dxf', 'step', 'ifc'][i % 4], size_bytes: (i * 104_729) % 50_000_000 } }),
  (i: number) => ({ name: 'license.heartbeat', properties: { license_id: 'LIC-7Q4M-20XZ', seats_in_use: i % 50 } })
]

/** One batch as JSON text, sent now. */
export function makeBatchText (events = eventsPerBatch): string {
  const now = new Date().toISOString()
  return JSON.stringify({
    batch_id: randomUUID(),
    sent_at: now,
    product: { name: 'cad', release: 2026, version: '26.1.0' },
    events: Array.from({ length: events }, (_, i) => ({ id: randomUUID(), version: 1, occurred_at: now, ...kinds[i % kinds.length]!(i) }))
  })
}

export function makeBatchTexts (count: number): string[] {
  return Array.from({ length: count }, () => makeBatchText())
}
