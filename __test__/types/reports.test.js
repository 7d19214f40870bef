'use strict'

// The reports that the addon makes are those that index.d.ts documents. __test__/types/reports.ts compares their types;
// here that comparison is shown to fail, and what types cannot say is compared on real reports.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { SecretDelivery } = require('../..')
const native = require('../../lib/load')

const root = path.join(__dirname, '..', '..')
const text = (/** @type {string[]} */ ...file) => fs.readFileSync(path.join(root, ...file), 'utf8')
const documented = text('index.d.ts')
const generated = text('native.d.ts')
const comparison = text('__test__', 'types', 'reports.ts')

/** Compiles the comparison over other declarations; gives what the compiler prints. */
function compared(/** @type {{ documented?: string, generated?: string }} */ changed) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'reports-'))
  try {
    const paths = { 'tcs-secret-delivery': ['./index.d.ts'] }
    const options = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'esnext.disposable'], paths }
    fs.writeFileSync(path.join(directory, 'index.d.ts'), changed.documented ?? documented)
    fs.writeFileSync(path.join(directory, 'native.d.ts'), changed.generated ?? generated)
    fs.writeFileSync(path.join(directory, 'reports.ts'), comparison.replace("'../../native.js'", "'./native.js'"))
    fs.writeFileSync(
      path.join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...options,
          module: 'nodenext',
          types: ['node'],
          typeRoots: [path.join(root, 'node_modules', '@types')],
        },
        include: ['*.ts'],
      }),
    )
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    return spawnSync(process.execPath, [tsc, '-p', directory], { encoding: 'utf8' }).stdout
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

/** A declaration with one interface changed. */
function edited(/** @type {string} */ declarations, /** @type {string} */ name, /** @type {RegExp} */ from, to = '') {
  const [body] = declarations.match(new RegExp(`^export interface ${name} [\\s\\S]*?^}`, 'm')) ?? ['']
  expect(body).toMatch(from)
  return declarations.replace(body, body.replace(from, to))
}

test('the comparison accepts the declarations as they are', () => {
  expect(compared({})).toBe('')
}, 60_000)

test.each([
  [
    'added to index.d.ts',
    { documented: edited(documented, 'HealthReport', /checkedAt: string/, '$&\n  extra: number') },
    ['HealthReport.extra: only documented'],
  ],
  [
    'removed from index.d.ts',
    { documented: edited(documented, 'RotationReport', /resumed: boolean/) },
    ['RotationReport.resumed: only in the addon', 'RotationEnded.report.resumed: only in the addon'],
  ],
  [
    'renamed in index.d.ts',
    { documented: edited(documented, 'Alert', /since: string/, 'from: string') },
    ['Alert.from: only documented', 'Alert.since: only in the addon'],
  ],
  [
    'added in Rust',
    { generated: edited(generated, 'AwsCallCounts', /ok: number/, '$&\n  extra: number') },
    ['MetricsSnapshot.awsCalls{}.extra: only in the addon'],
  ],
  [
    'removed in Rust',
    { generated: edited(generated, 'RetiredSecret', /stillInLines: .*/) },
    ['RetiredSecret.stillInLines: only documented', 'RetireReport.secrets[].stillInLines: only documented'],
  ],
  [
    'renamed in Rust',
    { generated: edited(generated, 'RotationStep', /durationMs/, 'tookMs') },
    ['RotationReport.steps[].durationMs: only documented', 'RotationReport.steps[].tookMs: only in the addon'],
  ],
  [
    'made optional in Rust',
    { generated: edited(generated, 'RollbackReport', /backup: string/, 'backup?: string') },
    ['RollbackReport.backup: optional on one side only'],
  ],
])(
  'the comparison names a key that is %s',
  (_, changed, paths) => {
    const output = compared(changed)
    for (const path of paths) expect(output).toContain(path)
  },
  60_000,
)

test('every interface that both declarations have is compared', () => {
  const names = (/** @type {string} */ of) => [...of.matchAll(/^export interface (\w+)/gm)].map((match) => match[1])
  const both = names(generated).filter((name) => names(documented).includes(name))
  expect(both.length).toBeGreaterThan(25)
  const [, listed] = comparison.match(/^interface Reports \{\n([\s\S]*?)^}/m) ?? []
  const compares = [...listed.matchAll(/^ {2}(\w+): \[/gm)].map((match) => match[1])
  expect(both.filter((name) => !compares.includes(name))).toEqual([])
})

test('a report has the keys of each documented union of texts', async () => {
  /** The texts of the union that is the type of a member, or of a type. */
  const union = (/** @type {RegExp} */ of) => {
    const [, found] = documented.match(of) ?? []
    return [...(found ?? '').matchAll(/'([\w-]+)'/g)].map((match) => match[1]).sort()
  }
  const sources = union(/^export type SecretSource =(.*)$/m)
  const delivery = new SecretDelivery({ environment: 'test', aws: { enabled: false }, envFile: false, audit: false })
  try {
    const { secretsRetrieved, rotations } = delivery.metrics.snapshot()
    expect(Object.keys(secretsRetrieved).sort()).toEqual(sources)
    const [report] = documented.match(/^export interface RotationReport [\s\S]*?^}/m) ?? ['']
    const [, outcomes] = report.match(/^ {2}outcome: (.*)$/m) ?? []
    expect(Object.keys(rotations).sort()).toEqual([...outcomes.matchAll(/'([\w-]+)'/g)].map(([, one]) => one).sort())
    const { checks } = await delivery.health()
    expect(Object.keys(checks).sort()).toEqual(union(/^ {2}checks: Record<(.*), HealthCheck>$/m))
  } finally {
    await delivery.close()
  }
})

test('the names of the hooks are those of RotationHooks', () => {
  const [hooks] = documented.match(/^export interface RotationHooks [\s\S]*?^}/m) ?? ['']
  const names = [...hooks.matchAll(/^ {2}(\w+)\?: \(\(context/gm)].map((match) => match[1])
  expect(names.length).toBeGreaterThan(3)
  expect(native.hookNames()).toEqual(names)
})
