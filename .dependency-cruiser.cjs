// Who may import whom. `npm run imports` prints what breaks a rule; test/architecture.test.ts
// proves that the rules are followed, and that they can fail.

const domain = '^src/domain/'
const flows = '^src/flows/'
const http = '^src/http/'
const main = '^src/main[.]ts$'
const composition = '^src/composition/'
const config = '^src/config[.]ts$'

// Each edge of the service, and the packages that nothing else in src may import.
const driversByEdge = {
  catalog: ['ajv', 'zod'],
  clickhouse: ['@clickhouse/client', 'chdb'],
  crypto: ['jose', 'zod'],
  dev: ['jose'],
  files: ['hyparquet-writer'],
  mail: ['nodemailer'],
  metrics: ['prom-client'],
  otp: ['otplib', 'qr'],
  redis: ['ioredis', 'bullmq'],
  tracing: ['@opentelemetry/[^/]+']
}

const edge = name => `^src/${name}(/|[.]ts$)`
const edges = Object.keys(driversByEdge).map(edge)
// A package that is not installed stays unresolved and keeps its bare name.
const packages = names => names.map(name => `(^|/node_modules/|^node_modules/)(@types/)?${name}(/|$)`)
const nodeBuiltins = { dependencyTypesNot: ['core'] }

/** What a part of src may import; everything else breaks the rule. */
const mayImport = (name, comment, from, allowed, kinds = {}) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { pathNot: allowed, ...kinds }
})

module.exports = {
  forbidden: [
    mayImport('domain-is-pure', 'The domain imports nothing but the domain: no package, no node: module.',
      domain, [domain]),
    mayImport('flows-import-domain', 'A flow tells its story with the domain; what it needs from outside is a port.',
      flows, [flows, domain]),
    mayImport('http-imports-flows', 'Routes translate between HTTP and the flows; they reach no edge.',
      http, [http, flows, domain, config, ...packages(['fastify', '@fastify/[^/]+', 'zod', 'fastify-type-provider-zod'])], nodeBuiltins),
    mayImport('main-is-thin', 'main.ts is the process; it leaves putting the parts together to the composition.',
      main, [composition, config, edge('dev'), ...packages(['pino'])], nodeBuiltins),
    mayImport('config-imports-zod', 'The configuration reads the environment and nothing of the service.',
      config, packages(['zod']), nodeBuiltins),
    ...Object.entries(driversByEdge).map(([name, drivers]) =>
      mayImport(`${name}-is-an-edge`, 'An edge imports the domain, itself and its own driver; dev stands in for crypto and mail.',
        edge(name), [edge(name), domain, flows, config, ...(name === 'dev' ? [edge('crypto'), edge('mail')] : []), ...packages(drivers)], nodeBuiltins)),
    {
      name: 'edges-fill-ports',
      comment: 'An edge implements ports, which are types of the flows; it runs no flow.',
      severity: 'error',
      from: { path: edges },
      to: { path: flows, dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'only-main-reads-config',
      comment: 'Settings are arguments. Other files may know their types only.',
      severity: 'error',
      from: { path: '^src/', pathNot: main },
      to: { path: config, dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'nobody-imports-main',
      comment: 'main.ts puts the parts together; a part that needs it is upside down.',
      severity: 'error',
      from: {},
      to: { path: main }
    },
    {
      name: 'only-main-imports-composition',
      comment: 'The composition puts the parts together; a part that needs it is upside down.',
      severity: 'error',
      from: { path: '^src/', pathNot: [main, composition] },
      to: { path: composition }
    },
    {
      name: 'every-part-has-a-rule',
      comment: 'A new folder under src says here what it may import.',
      severity: 'error',
      from: { path: '^src/', pathNot: [domain, flows, http, composition, config, main, ...edges] },
      to: {}
    },
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or three.',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'no-unresolvable',
      comment: 'Every import leads to a file or an installed package.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true }
    },
    {
      name: 'no-undeclared-packages',
      comment: 'The service runs with its dependencies alone: no package of development, none that is there by chance.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Imports of types count too: without this they are gone before the rules see them.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json', '.d.ts']
    }
  }
}
