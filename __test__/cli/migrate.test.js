'use strict'

// `tcs-secrets migrate` as processes of their own, over the in-repo AWS endpoint.

const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { root } = require('../support/files')
const { cliWorld, error } = require('../support/cli-world')

const world = cliWorld()
const { canary, cli, file, write } = world

test('plans, applies, retires and goes back, only when told to', async () => {
  write('.env.staging', `# kept\nDATABASE_PASSWORD=${canary}-other\nGITHUB_WEBHOOK_SECRET=${canary}-hook\n`)
  const action = ({ document }, name) =>
    Object.values(document.phases)
      .flat()
      .find((s) => s.name === name)?.action
  const plan = await cli.json('migrate plan')
  expect([plan.status, action(plan, 'GITHUB_WEBHOOK_SECRET'), action(plan, 'DATABASE_PASSWORD')]).toEqual([
    1,
    'create',
    'update',
  ])
  expect((await cli.run('migrate plan')).stdout).toMatch(/tool +GITHUB_WEBHOOK_SECRET +create/)
  const refused = await cli.json('migrate apply')
  expect([refused.status, refused.document]).toEqual([2, error('CONFIRMATION_NEEDED', 'migrate plan')])
  expect((await cli.json('migrate plan --phase later')).status).toBe(2)
  const applied = await cli.json('migrate apply --name GITHUB_WEBHOOK_SECRET --yes')
  expect([applied.status, applied.document.secrets[0].outcome]).toEqual([0, 'created'])
  expect((await cli.run('migrate retire --yes')).stdout).toMatch(/GITHUB_WEBHOOK_SECRET +retired/)
  expect(fs.readFileSync(file('.env.staging'), 'utf8')).toBe(
    `# kept\nDATABASE_PASSWORD=${canary}-other\n# moved to AWS: GITHUB_WEBHOOK_SECRET\n`,
  )
  expect((await cli.run('migrate rollback --yes')).status).toBe(0)
  expect(fs.readFileSync(file('.env.staging'), 'utf8')).toContain(`GITHUB_WEBHOOK_SECRET=${canary}-hook`)
})

describe('validate', () => {
  const validated = ({ document }) =>
    ['access', 'consistency', 'functionality', 'performance'].filter((name) => name in document)
  const checks = `
    export const reads = async (delivery) => {
      if ((await delivery.getToolSecret('github', 'api_token')) !== '${canary}-token') throw new TypeError('${canary}')
    }
    export async function connects() {
      setInterval(() => {}, 1000)
      throw Object.assign(new Error('${canary}'), { code: '28P01' })
    }
  `

  test('runs all four, and says that the service has no checks', async () => {
    write('.env.staging', `GITHUB_API_TOKEN=${canary}-token\n`)
    const all = await cli.json('migrate validate')
    expect([all.status, all.document.valid, all.document.environment, validated(all)]).toEqual([
      0,
      true,
      'staging',
      ['access', 'consistency', 'functionality', 'performance'],
    ])
    expect(all.document.functionality.checks).toEqual([])
    const state = (action) => all.document.access.permissions.find((one) => one.action === action).state
    expect(
      ['secretsmanager:GetSecretValue', 'secretsmanager:ListSecrets', 'secretsmanager:CreateSecret'].map(state),
    ).toEqual(['granted', 'granted', 'unknown'])
    const { stdout } = await cli.run('migrate validate')
    expect(stdout).toMatch(/^access +passed +3 secrets$/m)
    expect(stdout).toMatch(
      /^functionality +unchecked +3 secrets; no checks of the service: name a module with --checks$/m,
    )
    expect(stdout).toMatch(
      /^performance +passed +p99 in ms: memory [\d.]+, aws [\d.]+, env-file [\d.]+; allowed 5000$/m,
    )
    expect(stdout).toMatch(/^access +warning +GITHUB_WEBHOOK_SECRET +MISSING: AWS has no such secret$/m)
  })

  test("runs the service's own checks with the values of AWS", async () => {
    write('checks.mjs', checks)
    const named = await cli.json('migrate validate --only functionality --checks checks.mjs')
    expect([named.status, validated(named)]).toEqual([1, ['functionality']])
    expect(named.document.functionality.checks).toEqual([
      {
        name: 'connects',
        passed: false,
        issue: expect.objectContaining({ code: 'CHECK_FAILED', message: expect.stringContaining('28P01') }),
      },
      { name: 'reads', passed: true, issue: null },
    ])
    write(
      'good.cjs',
      `module.exports = { reads: async (delivery) => void (await delivery.getSecret('GITHUB_API_TOKEN')) }`,
    )
    write('tcs-secrets.config.json', { ...world.config, checks: './good.cjs' })
    const configured = await cli.run('migrate validate --only functionality')
    expect([configured.status, configured.stdout]).toEqual([
      0,
      expect.stringMatching(/^functionality +passed +3 secrets; 1 of 1 checks$/m),
    ])
    write('none.cjs', 'module.exports = { reads: true }')
    for (const wrong of ['none.cjs', 'nowhere.cjs']) {
      expect(await cli.json(`migrate validate --checks ${wrong}`)).toMatchObject({
        status: 3,
        document: error('CONFIG_INVALID', wrong),
      })
    }
    expect(await cli.json('migrate validate --only everything')).toMatchObject({
      status: 2,
      document: error('USAGE', 'everything'),
    })
  })

  test('tells what differs, and which permission is missing for which secret', async () => {
    write('.env.staging', `GITHUB_API_TOKEN=${canary}-other\nDATABASE_PASSWORD=${canary}\nLEGACY_KEY=${canary}\n`)
    await world.aws.deny({ actions: ['GetSecretValue', 'DescribeSecret'], secrets: ['DATABASE_PASSWORD_staging'] })
    const { status, document } = await cli.json('migrate validate --only access consistency')
    expect([status, document.valid]).toEqual([1, false])
    const codes = Object.fromEntries(
      document.consistency.secrets.map(({ name, issues }) => [name, issues.map(({ code }) => code)]),
    )
    expect(codes).toEqual({
      DATABASE_PASSWORD: ['SOURCE_ERROR'],
      GITHUB_API_TOKEN: ['DIFFERENT'],
      GITHUB_WEBHOOK_SECRET: ['MISSING'],
      LEGACY_KEY: ['ONLY_IN_ENV_FILE'],
    })
    const denied = document.access.permissions.filter(({ state }) => state === 'denied')
    expect(denied).toEqual(
      ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'].map((action) => ({
        action,
        state: 'denied',
        refusedFor: ['DATABASE_PASSWORD'],
      })),
    )
    const { stdout } = await cli.run('migrate validate --only access')
    expect(stdout).toMatch(/^secretsmanager:GetSecretValue +denied +DATABASE_PASSWORD$/m)
    expect(stdout).toMatch(
      /DATABASE_PASSWORD +SOURCE_ERROR: SECRET_ACCESS_DENIED: .*grant this identity secretsmanager:GetSecretValue on the secret \(request [\w-]+\)$/m,
    )
    const later = await cli.json('migrate validate --only access consistency functionality --phase tool')
    const looked = ['access', 'consistency', 'functionality'].map((name) =>
      later.document[name].secrets.map((secret) => secret.name),
    )
    expect([later.status, looked]).toEqual([0, Array(3).fill(['GITHUB_WEBHOOK_SECRET'])])
  })

  test('tells of the one that a source did not let happen, and makes the others', async () => {
    fs.mkdirSync(file('.env.staging'))
    const { status, document } = await cli.json('migrate validate')
    expect([status, document.valid, document.consistency.code, document.access.valid]).toEqual([
      4,
      false,
      'ENV_FILE_INVALID',
      true,
    ])
  })
})

describe('docs/migration.md', () => {
  const page = fs.readFileSync(path.join(root, 'docs', 'migration.md'), 'utf8')
  const block = (language) => new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(page)?.[1] ?? ''

  test('walks from a file with secrets to one without', async () => {
    const server = net.createServer((socket) => void socket.end())
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    const { port } = /** @type {net.AddressInfo} */ (server.address())
    const tools = { db: { secrets: { url: { required: true } } }, github: { secrets: { api_token: {} } } }
    write('tcs-secrets.config.json', { tools })
    write('secrets.checks.mjs', block('js'))
    const url = `postgres://app:${canary}@127.0.0.1:${port}/app`
    write('.env.staging', `# kept\nDB_URL=${url}\nGITHUB_API_TOKEN=${canary}-token\nSMTP_PASSWORD=${canary}-smtp\n`)
    const lines = [...block('sh').matchAll(/^npx tcs-secrets (.*?) *(?:# exit code (\d).*)?$/gm)]
    expect(lines.length).toBeGreaterThan(8)
    try {
      for (const [, command = '', exit = '0'] of lines) {
        const { status, stdout, stderr } = await cli.run(command)
        expect([command, status, stdout, stderr]).toEqual([
          command,
          Number(exit),
          expect.any(String),
          expect.any(String),
        ])
      }
    } finally {
      server.close()
    }
    expect(fs.readFileSync(file('.env.staging'), 'utf8')).toBe(
      '# kept\n# moved to AWS: DB_URL\n# moved to AWS: GITHUB_API_TOKEN\n# moved to AWS: SMTP_PASSWORD\n',
    )
    const live = (await world.aws.versions('DB_URL_staging')).find(({ labels }) => labels.includes('AWSCURRENT'))
    expect(live?.value).toBe(url)
  })
})
