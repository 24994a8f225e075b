import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { loadIssuers } from '../../src/crypto/issuers.ts'
import { startTestService } from '../support/service.ts'
import { readExample, roles } from './example.ts'

const folder = join(import.meta.dirname, '..', '..', 'deploy', 'kubernetes')

type Labels = Record<string, string>
interface Selector { matchLabels: Labels, matchExpressions?: Array<{ key: string, operator: string, values: string[] }> }
interface Probe { httpGet: { path: string, port: string } }
interface Container {
  env: Array<{ name: string, value: string }>
  envFrom: Array<{ configMapRef?: { name: string }, secretRef?: { name: string } }>
  ports: Array<{ name: string, containerPort: number }>
  volumeMounts: Array<{ name: string, mountPath: string }>
  startupProbe: Probe
  livenessProbe: Probe
  readinessProbe: Probe
  resources: { limits: { memory: string } }
}
interface Pod {
  terminationGracePeriodSeconds: number
  containers: [Container]
  volumes: Array<{ name: string, emptyDir?: object, projected?: { sources: Array<{ configMap?: { name: string }, secret?: { name: string } }> } }>
}
/** As much of any kind as is asked about here. */
interface Manifest {
  kind: string
  metadata: { name: string }
  data?: Record<string, string>
  stringData?: Record<string, string>
  spec: {
    replicas?: number
    selector: Selector & Labels
    podSelector: Selector
    template: { metadata: { labels: Labels }, spec: Pod }
    ports: Array<{ targetPort: string }>
    ingress?: Array<{ ports: Array<{ port: string }> }>
    scaleTargetRef: { kind: string, name: string }
    maxUnavailable: number
    minReplicas: number
  }
}

const files = readdirSync(folder).filter(file => file !== 'kustomization.yaml')
const manifests = files.flatMap(file => parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { strict: true }).map(document => {
  if (document.errors[0] !== undefined) throw document.errors[0]
  return document.toJS() as Manifest
}))
const ofKind = (kind: string): Manifest[] => manifests.filter(manifest => manifest.kind === kind)
const named = (kind: string, name: string): Manifest => ofKind(kind).find(({ metadata }) => metadata.name === name)!
/** What the ConfigMap or the Secret of a name holds. */
const heldBy = (configMap: { name: string } | undefined, secret: { name: string } | undefined): Record<string, string> =>
  configMap === undefined ? named('Secret', secret!.name).stringData! : named('ConfigMap', configMap.name).data!
const deployments = roles.map(role => ({ role, deployment: named('Deployment', `assent-${role}`), pod: named('Deployment', `assent-${role}`).spec.template.spec }))

function selected (labels: Labels, { matchLabels, matchExpressions = [] }: Selector): boolean {
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => operator === 'In' && values.includes(labels[key]!))
}
const rolesOf = (selector: Selector): string[] => deployments.filter(({ deployment }) => selected(deployment.spec.template.metadata.labels, selector)).map(({ role }) => role)

t.test('every file but the example of the secrets is applied, and no more Deployments than roles', async t => {
  const { resources } = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')) as { resources: string[] }
  t.same([...resources].sort(), files.filter(file => file !== 'secret.example.yaml').sort())
  t.equal(ofKind('Deployment').length, roles.length)
})

for (const { role, deployment, pod } of deployments) {
  const [container] = pod.containers

  t.test(`a ${role} starts in production with the settings and files that are there`, async t => {
    const settings = Object.assign({}, ...container.envFrom.map(({ configMapRef, secretRef }) => heldBy(configMapRef, secretRef))) as Record<string, string>
    const config = readExample(t, { ...settings, ...Object.fromEntries(container.env.map(({ name, value }) => [name, value])) })
    t.equal(config.ROLE, role)
    t.equal(config.HOST, '0.0.0.0', 'others reach it')
    t.match(container.ports, [{ name: 'http', containerPort: config.PORT }, { name: 'metrics', containerPort: config.METRICS_PORT }])
    t.ok(pod.terminationGracePeriodSeconds * 1000 >= config.SHUTDOWN_DELAY! + 28_000)

    const mounted = pod.volumes.find(({ projected }) => projected !== undefined)!
    const sources = mounted.projected!.sources.flatMap(({ configMap, secret }) => Object.keys(heldBy(configMap, secret)))
    const { mountPath } = container.volumeMounts.find(({ name }) => name === mounted.name)!
    for (const file of [config.ISSUERS_FILE!, config.VERIFICATION_KEYS_FILE!]) {
      t.equal(dirname(file), mountPath)
      t.ok(sources.includes(basename(file)), file)
    }
  })

  t.test(`a ${role} has no rights, and writes nowhere but in /tmp`, async t => {
    t.match(pod, {
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } }
    })
    t.match(container, {
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      resources: { requests: { cpu: String, memory: String }, limits: { memory: String } }
    })
    t.same(pod.volumes.filter(({ emptyDir }) => emptyDir !== undefined).map(({ name }) => container.volumeMounts.find(mount => mount.name === name)?.mountPath), ['/tmp'])
    t.notMatch(JSON.stringify(pod), /hostPath|hostNetwork|hostPID|privileged|"add"/)
  })

  t.test(`${role}s are not all taken away at once`, async t => {
    t.same(rolesOf(named('PodDisruptionBudget', `assent-${role}`).spec.selector), [role])
    t.equal(named('PodDisruptionBudget', `assent-${role}`).spec.maxUnavailable, 1)
    const scaler = ofKind('HorizontalPodAutoscaler').find(({ spec }) => spec.scaleTargetRef.name === deployment.metadata.name)
    t.equal(scaler !== undefined, role === 'collector')
    // Both would set it, and each application would take back what the scaler did.
    t.equal(deployment.spec.replicas === undefined, scaler !== undefined)
    t.ok((deployment.spec.replicas ?? scaler!.spec.minReplicas) >= 2)
  })
}

t.test('a restart is for a process that is not alive, and routing for one that is ready; a service answers both', async t => {
  const service = await startTestService(t)
  for (const { role, pod: { containers: [{ startupProbe, livenessProbe, readinessProbe }] } } of deployments) {
    t.same([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet), ['live', 'live', 'ready'].map(path => ({ path: `/health/${path}`, port: 'http' })), role)
    for (const { httpGet: { path } } of [livenessProbe, readinessProbe]) t.equal((await fetch(`${service.service.url}${path}`)).status, 200)
  }
})

t.test('the alert for memory comes before a pod is killed for it', async t => {
  const threshold = Number(/process_resident_memory_bytes > ([0-9.e]+)/.exec(readFileSync(join(folder, '..', 'prometheus', 'alerts.yml'), 'utf8'))![1])
  for (const { role, pod: { containers: [{ resources }] } } of deployments) {
    const [, gibibytes] = /^([0-9]+)Gi$/.exec(resources.limits.memory) ?? []
    t.ok(threshold < Number(gibibytes) * 1024 ** 3 * 0.8, `${role}: ${String(threshold)} of ${resources.limits.memory}`)
  }
})

t.test('what serves people has a Service and may be reached, the writer only by what collects metrics', async t => {
  const serving = ['collector', 'api']
  t.same(ofKind('Service').map(({ spec }) => rolesOf({ matchLabels: spec.selector })[0]).sort(), [...serving].sort())
  t.ok(ofKind('Service').every(({ spec: { ports } }) => ports.length === 1 && ports[0]?.targetPort === 'http'))
  const [all, http] = [named('NetworkPolicy', 'assent').spec, named('NetworkPolicy', 'assent-http').spec]
  t.match(all, { policyTypes: ['Ingress', 'Egress'] }, 'the rest is forbidden')
  t.same(rolesOf(all.podSelector), roles)
  t.same(all.ingress?.flatMap(({ ports }) => ports), [{ port: 'metrics' }])
  t.same(rolesOf(http.podSelector), serving)
  t.same(http.ingress?.flatMap(({ ports }) => ports), [{ port: 'http' }])
})

t.test('the example of issuers is one that the service takes', async t => {
  const file = join(t.testdir(), 'issuers.json')
  writeFileSync(file, named('ConfigMap', 'assent-issuers').data!['issuers.json']!)
  t.equal((await loadIssuers(file, { production: true })).length, 1)
})
