'use strict'

// A strict TypeScript service over the packed package: three secrets as RDS makes them, a secret of which two tools have a part, and
// a JSON secret for each of two tools, with declarations and nothing else.

const { randomBytes } = require('node:crypto')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { pack } = require('../../tools/release/package')
const { root, temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

jest.setTimeout(180_000)

const tool = (/** @type {string[]} */ ...names) => path.join(root, 'node_modules', ...names)
/** @type {string} */
let service
/** @type {AwsEndpoint} */
let aws
/** @type {ReturnType<typeof pack>} */
let packed

/** @param {string[]} args @param {Record<string, string>} [env] */
function node(args, env = {}) {
  const all = { PATH: process.env.PATH, HOME: service, TCS_AUDIT_KEY: randomBytes(32).toString('base64'), ...env }
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: service, encoding: 'utf8', env: all })
  return { status, output: `${stdout}${stderr}` }
}

const rds = (/** @type {string} */ host, /** @type {object} */ more = {}) =>
  JSON.stringify({ username: 'app', password: `p-${host}`, engine: 'postgres', host, port: 5432, dbname: 'd', ...more })

beforeAll(async () => {
  aws = await AwsEndpoint.start()
  packed = pack(temporaryDirectory('tcs-package-'))
  service = temporaryDirectory('tcs-declared-')
  fs.cpSync(path.join(__dirname, '..', 'fixtures', 'declared-service'), service, { recursive: true })
  // The tarballs as npm unpacks them.
  const tarballs = { 'tcs-secret-delivery': packed.main, ...packed.platforms }
  for (const [name, tarball] of Object.entries(tarballs)) {
    const folder = path.join(service, 'node_modules', name)
    fs.mkdirSync(folder, { recursive: true })
    const { status, stderr } = spawnSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1'])
    if (status !== 0) throw new Error(String(stderr))
  }
  for (const name of ['commander', '@types/node', 'undici-types']) {
    if (!fs.existsSync(tool(name))) continue
    fs.cpSync(tool(name), path.join(service, 'node_modules', name), { recursive: true })
  }
  await aws.put({
    'rds-db-1111': rds('orders', { port: 6432 }),
    'rds-db-3333': rds('reports'),
    'rds-db-4444': rds('orders-staging'),
    'production/rds-invoices': rds('invoices'),
    shared: '{"mail":{"url":"smtp://m"},"search":{"url":"http://s"}}',
    'production/jira': '{"user":"u","api_token":"t","other":"o"}',
    'production/stripe': '{"key":"kü","webhook_secret":"w"}',
  })
})
afterAll(async () => {
  await aws?.stop()
  for (const directory of [service, packed && path.dirname(packed.main)]) {
    if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true })
  }
})

const compile = () => node([tool('typescript', 'bin', 'tsc')])

test('compiles, and has every secret in few calls', async () => {
  expect(compile()).toEqual({ status: 0, output: '' })
  const { ARN } = await aws.ask('DescribeSecret', { SecretId: 'shared' })
  const { status, output } = node(['dist/main.js'], {
    TCS_ENVIRONMENT: 'production',
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: ARN.split(':')[3],
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    TCS_AUDIT_LOG: path.join(service, 'audit.jsonl'),
    SHARED_ARN: ARN,
  })
  expect({ status, output: JSON.parse(output) }).toEqual({
    status: 0,
    output: {
      orders: { user: 'app', password: 'p-orders', port: 6432 },
      hosts: ['invoices', 'reports'],
      own: 'p-orders',
      urls: ['smtp://m', 'http://s'],
      user: 'u',
      webhook: 'w',
      key: 3,
      calls: expect.any(Number),
    },
  })
  // Six secrets in one call, and the ARN, whose account is not known yet, in another.
  expect(JSON.parse(output).calls).toBeLessThanOrEqual(2)
})

test.each([
  ["getToolSecret('orders', 'pasword')", "'orders', 'password'", /pasword/],
  ["getToolSecretJson('order', 'login')", "getToolSecretJson('orders', 'login')", /order/],
])('%s does not compile', (wrong, right, said) => {
  const main = path.join(service, 'src', 'main.ts')
  const text = fs.readFileSync(main, 'utf8')
  const whole = right.startsWith('get') ? right : `getToolSecret(${right})`
  fs.writeFileSync(main, text.replace(whole, wrong))
  const { status, output } = compile()
  fs.writeFileSync(main, text)
  expect(status).not.toBe(0)
  expect(output).toMatch(said)
})
