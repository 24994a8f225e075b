import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signIn } from '../support/api.ts'
import { startTestService } from '../support/service.ts'

const root = join(import.meta.dirname, '..', '..')
const rulesFile = join(root, 'deploy', 'prometheus', 'alerts.yml')
const rules = readFileSync(rulesFile, 'utf8').split(/^ {6}- alert: /m).slice(1)
const nameOf = (rule: string): string => rule.split('\n', 1)[0]!

interface Panel { id: number, title: string, targets: Array<{ expr: string }> }
const dashboard = JSON.parse(readFileSync(join(root, 'deploy', 'grafana', 'assent.json'), 'utf8')) as { schemaVersion: number, panels: Panel[], templating: { list: Array<{ name: string, type: string }> } }

const expressionOf = (rule: string): string => /expr: '(.*)'/.exec(rule)?.[1] ?? ''

function metricsIn (expression: string): string[] {
  return [...expression.matchAll(/\b(?:assent|nodejs|process)_\w+/g)].map(([name]) => name)
}

t.test('every alert and every panel is about a metric that a running service exports', async t => {
  const service = await startTestService(t)
  await signIn(service, 'ada')
  const text = await (await fetch(`${service.service.url}/metrics`)).text()
  // One with labels has no series before something happened.
  const exported = new Set(text.split('\n').map(line => /^(?:# TYPE )?(\w+)/.exec(line)?.[1]))
  t.ok(rules.length > 10)
  for (const rule of rules) {
    t.ok(metricsIn(expressionOf(rule)).length > 0, `${nameOf(rule)} asks for a metric`)
    t.same(metricsIn(expressionOf(rule)).filter(name => !exported.has(name)), [], nameOf(rule))
    for (const [, label, value] of rule.matchAll(/\b(what|outcome)="([^"]+)"/g)) t.ok(text.includes(`${label}="${value}"`), `${nameOf(rule)}: ${value}`)
  }
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      t.ok(metricsIn(expr).length > 0, `${title} asks for a metric`)
      t.same(metricsIn(expr).filter(name => !exported.has(name)), [], title)
    }
  }
})

t.test('an alert is left when no process is there to say that it is not ready', t => {
  t.ok(rules.some(rule => /^absent\(assent_\w+\)$/.test(expressionOf(rule)) && rule.includes('severity: critical')))
  t.end()
})

t.test('the dashboard is one that Grafana takes, for any source of data', async t => {
  t.ok(dashboard.schemaVersion >= 36)
  t.match(dashboard.templating.list, [{ name: 'datasource', type: 'datasource' }])
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  t.notMatch(JSON.stringify(dashboard), /"uid":"(?!\$\{datasource\}"|assent")/)
})

t.test('every alert has its runbook, and every runbook its alert', async t => {
  const headings = [...readFileSync(join(root, 'docs', 'runbooks.md'), 'utf8').matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
  t.same(headings, rules.map(nameOf))
  for (const rule of rules) t.ok(rule.includes(`docs/runbooks.md#${nameOf(rule).toLowerCase()}'`), nameOf(rule))
})

const promtoolMissing = spawnSync('promtool', ['--version']).error !== undefined && 'promtool, of the package prometheus, is not installed'

t.test('Prometheus loads the rules', { skip: promtoolMissing }, async t => {
  t.match(execFileSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' }), `SUCCESS: ${rules.length} rules found`)
})
