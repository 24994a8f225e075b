import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { heartbeat, makeEvent, type TokenRequest } from '../support/api.ts'
import { eventually, startTestService } from '../support/service.ts'

interface Row {
  identity: string
  account_choice: string
  device_choice: string
  release: string
  category: string
  org_policy: string
  regional_default: string
  outcome: string
  reason: string
}

const rows = parseTable(await readFile(join(import.meta.dirname, '..', 'fixtures', 'consent-truth-table.csv'), 'utf8'))
const regions = join(t.testdir({}), 'regions.json')
await writeFile(regions, JSON.stringify({ regions: { open: 'granted' } }))
const service = await startTestService(t, { REGION_POLICY_FILE: regions })

t.test('every row of the truth table is what happens to an event that is posted', async t => {
  const admin = await service.token({ sub: 'privacy-team', scope: 'privacy:admin' })
  const policy = await service.call('PUT', '/v1/privacy/organizations/strict/policy', {
    token: admin, body: { product_analytics: 'off' }, headers: { 'purpose-of-use': 'test' }
  })
  t.equal(policy.status, 200)

  const subjects = new Map<string, Subject>()
  for (const row of rows) subjects.set(keyOf(row), subjects.get(keyOf(row)) ?? await makeSubject(row))
  t.equal(subjects.size, 16)

  const told: string[] = []
  const accepted: Array<{ event_id: string, reason: string }> = []
  for (const batch of groupBy(rows, row => [keyOf(row), row.release, row.org_policy, row.regional_default].join(' '))) {
    const { account, deviceInBatch } = subjects.get(keyOf(batch[0]!))!
    const { release, org_policy: org, regional_default: region } = batch[0]!
    const token = await service.token({
      ...account, scope: 'telemetry:write', ...(org === 'off' ? { org_id: 'strict' } : {}), ...(region === 'granted' ? { region: 'open' } : {})
    })
    const events = batch.map(row => makeEvent(row.category === 'required' ? heartbeat : {}))
    const { status, body } = await service.post(token, { product: { name: 'cad', release: Number(release) }, events, ...deviceInBatch })
    t.equal(status, 202)
    batch.forEach((row, index) => {
      const id = events[index]!['id'] as string
      const refused = body['results'].find((result: { id: string }) => result.id === id)
      const [outcome, reason] = refused === undefined ? ['accepted', row.reason] : [refused.outcome, refused.reason]
      told.push(textOf({ ...row, outcome, reason }))
      if (outcome === 'accepted') accepted.push({ event_id: id, reason })
    })
  }
  t.same(told.sort(), rows.map(textOf).sort())

  await eventually('all accepted events are stored', async () => await service.count('events_v') >= accepted.length)
  const stored = await service.sql('SELECT event_id, reason FROM events_v ORDER BY toString(event_id)')
  t.same(stored, accepted.sort((a, b) => a.event_id < b.event_id ? -1 : 1), 'exactly what was accepted, each for its reason')
})

interface Subject { account: TokenRequest, deviceInBatch: { device_id?: string } }

/** A person or device of its own, whose choices are made as they are made in life. */
async function makeSubject (row: Row): Promise<Subject> {
  const name = keyOf(row).replaceAll(/[+ ]/g, '-')
  const email = `${name}@example.com`
  const chosen = (choice: string): boolean => choice === 'granted' || choice === 'denied'
  if (row.identity === 'none') return { account: {}, deviceInBatch: {} }
  if (row.identity === 'device') {
    const token = await service.token({ device_id: name })
    if (chosen(row.device_choice)) {
      t.equal((await service.call('PUT', `/v1/devices/${name}/privacy`, { token, body: { product_analytics: row.device_choice } })).status, 200)
    }
    return { account: { device_id: name }, deviceInBatch: {} }
  }
  const account = { sub: name, email }
  const patch = {
    ...(chosen(row.account_choice) ? { account: { product_analytics: row.account_choice } } : {}),
    ...(chosen(row.device_choice) ? { devices: { [`pc-${name}`]: { product_analytics: row.device_choice } } } : {})
  }
  if (Object.keys(patch).length > 0) {
    const token = await service.token({ ...account, device_id: `pc-${name}` })
    t.equal((await service.change(token, email, patch)).status, 200)
  }
  return { account, deviceInBatch: row.identity === 'account' ? {} : { device_id: `pc-${name}` } }
}

function keyOf ({ identity, account_choice, device_choice }: Row): string {
  return `${identity} ${account_choice} ${device_choice}`
}

function parseTable (text: string): Row[] {
  const [header = '', ...lines] = text.trim().split('\n')
  const names = header.split(',')
  return lines.map(line => Object.fromEntries(line.split(',').map((cell, at) => [names[at], cell])) as unknown as Row)
}

function textOf (row: Row): string {
  return Object.values(row).join(',')
}

function groupBy (all: readonly Row[], key: (row: Row) => string): Row[][] {
  const groups = new Map<string, Row[]>()
  for (const row of all) groups.set(key(row), [...groups.get(key(row)) ?? [], row])
  return [...groups.values()]
}
