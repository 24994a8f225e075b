/** Devices that send batches and never give up, and that say no or have themselves erased in between. The journal hears it first. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeBatch, makeEvent, type Answer } from '../support/api.ts'
import type { Journal, SentEvent } from './journal.ts'
import type { Random } from './random.ts'
import type { ServiceProcess } from './service-process.ts'
import type { Stage } from './stage.ts'

export interface Device { id: string, token: string, says: 'yes' | 'no' }

export interface Crowd {
  /** Answers by status; `none` when there was no answer. */
  answers: Map<number | 'none', number>
  acknowledgedBatches: () => number
  /** Resolves when so many more batches were acknowledged. */
  more: (batches: number) => Promise<void>
  /** Sends a batch of one device now, until it is acknowledged; resolves with the ids that its device permits. */
  post: (device: Device) => Promise<string[]>
  /** Sends acknowledged batches once more, as a client does that did not hear the answer. */
  repeat: (batches: number) => Promise<void>
  /** One that permits; `id` where it matters what it is called. */
  newDevice: (id?: string) => Promise<Device>
  withdraw: (device: Device) => Promise<void>
  /** Asks for an erasure; resolves with its id. */
  erase: (device: Device) => Promise<string>
  /** Resolves when all erasures that were asked for are certified. */
  certified: () => Promise<void>
  /** What went wrong in the crowd itself: an answer that nobody should get. */
  complaints: string[]
  /** Ends when each device has its batch acknowledged. */
  stop: () => Promise<void>
  /** Ends at once, whatever is not acknowledged. */
  abandon: () => void
}

export interface CrowdOptions {
  devices?: number
  clients?: number
  /** How long a client rests after a batch, at most. */
  restMsMax?: number
  /** Whether devices change their mind, and whether some of those who do have themselves erased. */
  changes?: boolean
  erasures?: boolean
  /** Whether 401 means to fetch a token and to come again: a clock is wrong. */
  freshTokens?: boolean
}

const analytics = 'product_analytics'
const optional = { name: 'command.run', purpose: analytics, required: false }
const required = { name: 'license.heartbeat', purpose: 'license_compliance', required: true }
const refused = { name: 'crash.reported', purpose: 'diagnostics', required: false }

const toldToComeBack = new Set([408, 429, 503])

export async function gatherCrowd (stage: Stage, journal: Journal, random: Random, { devices: count = 8, clients = 6, restMsMax = 60, changes = false, erasures: mayErase = true, freshTokens = false }: CrowdOptions = {}): Promise<Crowd> {
  const answers: Crowd['answers'] = new Map()
  const complaints: string[] = []
  const recent: Array<{ device: Device, batch: Record<string, unknown> }> = []
  const erasures: Array<{ id: string, device: Device }> = []
  let acknowledged = 0
  let stopping = false
  let abandoned = false
  const because = { 'purpose-of-use': 'a request by letter' }

  const mayComeBack = (status: number): boolean => toldToComeBack.has(status) || (freshTokens && status === 401)

  /** Asks again until the answer is the one that is wanted: what a person's settings page does. */
  const insist = async (wanted: number, ask: () => Promise<Answer>): Promise<Answer> => {
    while (!abandoned) {
      const answer = await ask().catch(() => undefined)
      if (answer?.status === wanted) return answer
      if (answer !== undefined && !mayComeBack(answer.status)) throw new Error(`instead of ${String(wanted)} came ${String(answer.status)}: ${JSON.stringify(answer.body)}`)
      await sleep(50)
    }
    throw new Error('the scenario has ended')
  }

  const tokenOf = async (claims: Record<string, unknown>): Promise<string> =>
    (await insist(200, async () => await stage.people.call('POST', '/dev/token', { body: { expires_in: 31_536_000, ...claims } }))).body['access_token'] as string
  const admin = await tokenOf({ sub: 'team', scope: 'privacy:admin privacy:read' })

  const renew = async (device: Device): Promise<void> => {
    device.token = await tokenOf({ device_id: device.id, scope: 'telemetry:write settings' })
  }

  const choose = async (device: Device, choice: string): Promise<void> => {
    await insist(200, async () => {
      const answer = await stage.people.call('PUT', `/v1/devices/${device.id}/privacy`, { token: device.token, body: { [analytics]: choice } })
      if (freshTokens && answer.status === 401) await renew(device)
      return answer
    })
  }

  const newDevice: Crowd['newDevice'] = async (id = `pc-${randomUUID()}`) => {
    const device: Device = { id, token: '', says: 'yes' }
    await renew(device)
    await choose(device, 'granted')
    journal.write({ what: 'permitted', who: id, purpose: analytics })
    return device
  }

  const newBatch = (device: Device): Record<string, unknown> => {
    const make = ({ name }: typeof optional): Record<string, unknown> => makeEvent({ name, properties: propertiesOf[name]!(random) })
    const kinds = [...Array.from({ length: random.between(3, 8) }, () => optional), required, refused]
    const events = kinds.map(make)
    const batch = makeBatch({ device_id: device.id, events })
    journal.write({
      what: 'sent', who: device.id, batch: batch['batch_id'] as string,
      events: events.map((event, index): SentEvent => ({
        id: event['id'] as string, name: event['name'] as string, version: 1, occurred_at: event['occurred_at'] as string, properties: JSON.stringify(event['properties']),
        purpose: kinds[index]!.purpose, required: kinds[index]!.required
      }))
    })
    return batch
  }

  const send = async (device: Device, batch: Record<string, unknown>): Promise<void> => {
    for (let waitMs = 20; !abandoned; waitMs = Math.min(waitMs * 2, 500)) {
      const collector = random.pick(stage.collectors)
      const answer = await sendOnce(collector, device.token, batch).catch(() => undefined)
      answers.set(answer?.status ?? 'none', (answers.get(answer?.status ?? 'none') ?? 0) + 1)
      if (answer?.status === 202) {
        const { results } = JSON.parse(answer.text) as { results: Array<{ id: string, outcome: string, reason: string }> }
        journal.write({ what: 'acknowledged', batch: batch['batch_id'] as string, refused: results.filter(({ outcome }) => outcome !== 'accepted').map(({ id, reason }) => [id, reason]) })
        acknowledged++
        return
      }
      if (freshTokens && answer?.status === 401) await renew(device)
      else if (answer !== undefined && !mayComeBack(answer.status)) complaints.push(`a batch was answered ${String(answer.status)}: ${answer.text}`)
      else if (answer?.retryAfter === null && answer.status !== 408) complaints.push(`a ${String(answer.status)} does not say when to come back`)
      await sleep(waitMs)
    }
  }

  const post: Crowd['post'] = async device => {
    const batch = newBatch(device)
    await send(device, batch)
    recent.push({ device, batch })
    if (recent.length > 20) recent.shift()
    return (batch['events'] as Array<{ id: string, name: string }>).filter(({ name }) => name !== refused.name).map(({ id }) => id)
  }

  const withdraw: Crowd['withdraw'] = async device => {
    journal.write({ what: 'withdrawing', who: device.id })
    await choose(device, 'denied')
    journal.write({ what: 'withdrawn', who: device.id })
    device.says = 'no'
  }

  const erase: Crowd['erase'] = async device => {
    journal.write({ what: 'erasing', who: device.id })
    const { body } = await insist(202, async () => await stage.people.call('POST', '/v1/privacy/erasures', { token: admin, headers: because, body: { device_id: device.id, reason: 'a letter' } }))
    erasures.push({ id: body['id'] as string, device })
    return body['id'] as string
  }

  const certified: Crowd['certified'] = async () => {
    for (const { id, device } of erasures.splice(0)) {
      while (true) {
        const { body } = await insist(200, async () => await stage.people.call('GET', `/v1/privacy/erasures/${id}`, { token: admin, headers: because }))
        if (body['certificate'] !== undefined) break
        await sleep(100)
      }
      journal.write({ what: 'erased', who: device.id })
    }
  }

  const devices = await Promise.all(Array.from({ length: count }, async () => await newDevice()))
  const failed = (error: unknown): void => { complaints.push((error as Error).message) }
  const running = Array.from({ length: clients }, async () => {
    while (!stopping) {
      await post(random.pick(devices))
      await sleep(random.between(0, restMsMax))
    }
  }).map(async client => { await client.catch(failed) })

  /** Every second or so somebody says no, or is erased, and somebody new comes. */
  const change = async (): Promise<void> => {
    while (!stopping) {
      await sleep(random.between(300, 1500))
      const index = random.between(0, devices.length - 1)
      const device = devices[index]!
      if (device.says === 'no') devices[index] = await newDevice()
      else if (!mayErase || random.next() < 0.8) await withdraw(device)
      else {
        devices[index] = await newDevice()
        await erase(device)
      }
    }
  }
  if (changes) running.push(change().catch(failed))

  return {
    answers, complaints, post, newDevice, withdraw, erase, certified,
    acknowledgedBatches: () => acknowledged,
    async more (batches) {
      const wanted = acknowledged + batches
      const deadline = Date.now() + 120_000
      while (acknowledged < wanted) {
        if (Date.now() > deadline) throw new Error('no batch was acknowledged for two minutes')
        if (complaints.length > 0) throw new Error(complaints[0])
        await sleep(5)
      }
    },
    async repeat (batches) {
      for (const { device, batch } of recent.slice(-batches)) await send(device, batch)
    },
    async stop () {
      stopping = true
      await Promise.all(running)
    },
    abandon: () => { stopping = abandoned = true }
  }
}

async function sendOnce (collector: ServiceProcess, token: string, batch: Record<string, unknown>): Promise<{ status: number, retryAfter: string | null, text: string }> {
  const answer = await fetch(`${collector.url()}/v1/events`, {
    method: 'POST', body: JSON.stringify(batch), headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, signal: AbortSignal.timeout(20_000)
  })
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), text: await answer.text() }
}

const propertiesOf: Readonly<Record<string, (random: Random) => Record<string, unknown>>> = {
  [optional.name]: random => ({ command: random.pick(['LINE', 'CIRCLE', 'TRIM', 'FILLET', 'HATCH']) + String(random.between(0, 9999)), duration_ms: random.between(0, 86_400_000) }),
  [required.name]: random => ({ license_id: 'LIC-7Q4M-20XZ', seats_in_use: random.between(1, 90) }),
  [refused.name]: random => ({ signature: String(random.between(1, 9)).repeat(64), kind: 'hang' })
}
