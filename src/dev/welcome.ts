/** What a newcomer can paste once the service is up. */

const sql = [
  'SELECT name AS event, purpose, \\"stored\\" AS outcome, reason, toInt64(count()) AS events FROM events_v GROUP BY ALL',
  'UNION ALL SELECT event, purpose, outcome, reason, toInt64(sum(count)) FROM consent_decisions_v WHERE outcome IN (\\"dropped\\", \\"rejected\\") GROUP BY ALL'
].join(' ').replaceAll('\\"', '\'')

/** Three commands for a shell: get a token and let its device agree to something; post a batch; see what became of it. */
export function welcome (baseUrl: string, newId: () => string): string {
  const json = '-H "content-type: application/json"'
  const bearer = '-H "authorization: Bearer $TOKEN"'
  const sent = '\'$(date -u +%Y-%m-%dT%H:%M:%SZ)\''
  const event = (name: string, properties: string): string =>
    `{"id":"${newId()}","name":"${name}","version":1,"occurred_at":"${sent}","properties":${properties}}`
  const batch = `{"batch_id":"${newId()}","sent_at":"${sent}","device_id":"demo-pc","product":{"name":"cad","release":2026},"events":[${[
    event('license.heartbeat', '{"license_id":"LIC-7Q4M-20XZ","seats_in_use":1}'),
    event('command.run', '{"command":"LINE","duration_ms":1200}'),
    event('crash.reported', `{"signature":"${'0'.repeat(64)}","kind":"hang"}`)
  ].join(',')}]}`
  return `
  1. A token for a device, which then agrees to product analytics:

TOKEN=$(curl -s ${baseUrl}/dev/token ${json} -d '{"device_id":"demo-pc","scope":"telemetry:write settings"}' | cut -d '"' -f 4) && curl -s -X PUT ${baseUrl}/v1/devices/demo-pc/privacy ${bearer} ${json} -d '{"product_analytics":"granted"}'

  2. Three events: one required, one the device agreed to, one it did not:

curl -s ${baseUrl}/v1/events ${bearer} ${json} -d '${batch}'

  3. What was stored, and why the rest was not:

sleep 1; curl -s ${baseUrl}/dev/sql -d "${sql}"
`
}
