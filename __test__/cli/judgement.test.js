'use strict'

// A migration with judgement: a file of sixty mixed entries, walked from plan to retire, in which every byte is compared.

const fs = require('node:fs')
const { cliWorld, error } = require('../support/cli-world')
const { until } = require('../support/until')

const onLinux = process.platform === 'linux' ? test : test.skip

const world = cliWorld()
const { canary, cli, file, write } = world
const env = (/** @type {string} */ text) => write('.env.staging', text)

/** Moved, with its value; `doubt` and `stay` keep their line. @typedef {[kind: 'moved' | 'stay' | 'doubt' | 'text', line: string, name?: string, value?: string]} Entry */
/** @type {Entry[]} */
const ENTRIES = [
  ['text', '# the settings of the shop'],
  ['text', ''],
  ['stay', 'PORT=3000', 'PORT'],
  ['stay', 'HOST=0.0.0.0', 'HOST'],
  ['stay', 'NODE_ENV=staging', 'NODE_ENV'],
  ['stay', 'NODE_OPTIONS="--max-old-space-size=512"', 'NODE_OPTIONS'],
  ['stay', 'TZ=Europe/Berlin', 'TZ'],
  ['stay', 'LOG_LEVEL=info', 'LOG_LEVEL'],
  ['stay', 'AWS_REGION=eu-central-1', 'AWS_REGION'],
  ['stay', `AWS_SECRET_ACCESS_KEY=${canary}aws`, 'AWS_SECRET_ACCESS_KEY'],
  ['stay', 'TCS_AUDIT_LOG=stdout', 'TCS_AUDIT_LOG'],
  ['stay', 'DEBUG=shop:*', 'DEBUG'],
  ['moved', `GITHUB_API_TOKEN=${canary}1`, 'GITHUB_API_TOKEN', `${canary}1`],
  ['moved', `DATABASE_PASSWORD='${canary} # whole $x'`, 'DATABASE_PASSWORD', `${canary} # whole $x`],
  ['moved', `export SMTP_PASSWORD=${canary}2 # of the mail server`, 'SMTP_PASSWORD', `${canary}2`],
  [
    'moved',
    `DB_URL=postgres://app:${canary}@db.example:5432/app`,
    'DB_URL',
    `postgres://app:${canary}@db.example:5432/app`,
  ],
  ['stay', 'PUBLIC_URL=https://shop.example', 'PUBLIC_URL'],
  ['stay', 'ASSETS_URL=https://cdn.example/a/b/c/0123456789', 'ASSETS_URL'],
  ['moved', `JWT_SECRET="${canary}\\nsecond"`, 'JWT_SECRET', `${canary}\nsecond`],
  [
    'moved',
    `TLS_PRIVATE_KEY="-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----"`,
    'TLS_PRIVATE_KEY',
    `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----`,
  ],
  ['stay', 'SIGNING_KEY_ID=key-2026', 'SIGNING_KEY_ID'],
  ['stay', 'AUTH0_CLIENT_ID=abcdefghijklmnopqrstuvwxyz012345', 'AUTH0_CLIENT_ID'],
  ['stay', 'GIT_COMMIT=0123456789abcdef0123456789abcdef01234567', 'GIT_COMMIT'],
  ['stay', 'OPENAI_MAX_TOKENS=4096', 'OPENAI_MAX_TOKENS'],
  ['stay', 'NEXT_PUBLIC_MAP_TOKEN=pk.0123456789abcdefgh', 'NEXT_PUBLIC_MAP_TOKEN'],
  ['stay', 'STRIPE_PUBLISHABLE_KEY=pk_test_1', 'STRIPE_PUBLISHABLE_KEY'],
  ['stay', 'API_KEY_HEADER=x-api-key', 'API_KEY_HEADER'],
  ['stay', 'SORT_KEY=created_at', 'SORT_KEY'],
  ['stay', 'PASSWORD_RESET_URL=https://shop.example/reset', 'PASSWORD_RESET_URL'],
  ['moved', `PGPASSWORD=${canary}11`, 'PGPASSWORD', `${canary}11`],
  [
    'moved',
    `BUS_CONNECTION=Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=${canary}=`,
    'BUS_CONNECTION',
    `Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey=${canary}=`,
  ],
  ['moved', `SHOP_WEBHOOK_URL=https://hooks.example/${canary}`, 'SHOP_WEBHOOK_URL', `https://hooks.example/${canary}`],
  ['moved', `BASIC_AUTH=admin:${canary}`, 'BASIC_AUTH', `admin:${canary}`],
  ['stay', 'TOKEN_TTL=3600', 'TOKEN_TTL'],
  ['stay', 'PASSWORD_MIN_LENGTH=12', 'PASSWORD_MIN_LENGTH'],
  ['stay', 'STRIPE_PUBLIC_KEY=pk_test_1', 'STRIPE_PUBLIC_KEY'],
  ['moved', `STRIPE_KEY=sk_test_${canary}`, 'STRIPE_KEY', `sk_test_${canary}`],
  ['moved', `SLACK_HOOK=xoxb-${canary}`, 'SLACK_HOOK', `xoxb-${canary}`],
  ['moved', `SESSION_SALT=${canary}3`, 'SESSION_SALT', `${canary}3`],
  ['moved', `MAIL_DSN=smtp://u:${canary}@mail.example`, 'MAIL_DSN', `smtp://u:${canary}@mail.example`],
  ['moved', `OPAQUE=9f8${canary.slice(7)}Zq7Lm2Xc`, 'OPAQUE', `9f8${canary.slice(7)}Zq7Lm2Xc`],
  ['stay', 'GREETING=hello there, this is a longer text of the shop 2026', 'GREETING'],
  ['stay', 'FEATURE_KEYS=true', 'FEATURE_KEYS'],
  ['stay', 'CACHE_KEY_COUNT=12', 'CACHE_KEY_COUNT'],
  ['stay', 'EMPTY_TOKEN=', 'EMPTY_TOKEN'],
  ['stay', 'EMPTY_SECRET=""', 'EMPTY_SECRET'],
  ['stay', 'EMPTY_NOTED= # later', 'EMPTY_NOTED'],
  ['stay', `stripe.secret.key=${canary}4`, 'stripe.secret.key'],
  ['stay', `_PRIVATE_TOKEN=${canary}5`, '_PRIVATE_TOKEN'],
  ['text', 'this line is no assignment'],
  ['text', '   # an indented comment'],
  ['doubt', `CUT_PASSWORD=${canary}!@#9x`, 'CUT_PASSWORD'],
  ['doubt', `ALL_CUT_PASSWORD=#${canary}`, 'ALL_CUT_PASSWORD'],
  ['moved', `WHOLE_PASSWORD="${canary}!@#9x"`, 'WHOLE_PASSWORD', `${canary}!@#9x`],
  ['doubt', `OPEN_QUOTE_TOKEN="${canary}6`, 'OPEN_QUOTE_TOKEN'],
  ['text', '# "closed here, in a comment'],
  ['doubt', `LATE_QUOTE_TOKEN=${canary}7'`, 'LATE_QUOTE_TOKEN'],
  ['moved', `INNER_QUOTE_TOKEN=it's ${canary}8`, 'INNER_QUOTE_TOKEN', `it's ${canary}8`],
  ['doubt', `TWICE_TOKEN=${canary}first`, undefined],
  ['moved', `SAME_TOKEN=${canary}same`, undefined],
  ['moved', `SAME_TOKEN=${canary}same`, 'SAME_TOKEN', `${canary}same`],
  ['doubt', `TWICE_TOKEN=${canary}second`, 'TWICE_TOKEN'],
  ['moved', `\tTABBED_TOKEN\t=\t${canary}9\t`, 'TABBED_TOKEN', `${canary}9`],
  ['moved', `COLON_TOKEN: ${canary}10`, 'COLON_TOKEN', `${canary}10`],
  ['doubt', `BRACED_URL=postgres://app:\${SMTP_PASSWORD}@db.example/${canary}`, 'BRACED_URL'],
  ['doubt', `BARE_URL="postgres://app:$SMTP_PASSWORD@db.example/${canary}"`, 'BARE_URL'],
  ['doubt', `DEFAULT_TOKEN=\${UNSET_TOKEN:-${canary}}`, 'DEFAULT_TOKEN'],
  ['moved', `DOLLAR_PASSWORD=$unknown${canary}`, 'DOLLAR_PASSWORD', `$unknown${canary}`],
  ['moved', `QUOTED_PASSWORD='\${SMTP_PASSWORD}${canary}'`, 'QUOTED_PASSWORD', `\${SMTP_PASSWORD}${canary}`],
  ['moved', `BCRYPT_SALT=$2b$10$${canary}`, 'BCRYPT_SALT', `$2b$10$${canary}`],
  [
    'moved',
    `JSON_CREDENTIALS={"user":"a","password":"${canary}"}`,
    'JSON_CREDENTIALS',
    `{"user":"a","password":"${canary}"}`,
  ],
  ['moved', `UNICODE_PASSWORD=pässwörd-${canary}`, 'UNICODE_PASSWORD', `pässwörd-${canary}`],
  ['moved', `BACKTICK_PASSWORD=\`${canary} "a" 'b'\``, 'BACKTICK_PASSWORD', `${canary} "a" 'b'`],
  ['stay', 'RETRY_SECONDS=5', 'RETRY_SECONDS'],
  ['stay', 'COLOR=#ff0000 ', undefined],
  ['stay', 'CI=true', 'CI'],
  ['stay', 'KUBERNETES_SERVICE_HOST=10.0.0.1', 'KUBERNETES_SERVICE_HOST'],
  ['stay', 'WIDGET_SIZE=large', 'WIDGET_SIZE'],
  ['text', '# the end'],
]
/** A colour is cut by dotenv as a password would be, so it is asked about. */
const COLOUR = ENTRIES.findIndex(([, line]) => line.startsWith('COLOR='))
ENTRIES[COLOUR] = ['doubt', 'COLOR=#ff0000 ', 'COLOR']

const text = () => ENTRIES.map(([, line]) => `${line}\n`).join('')
const of = (/** @type {Entry[0]} */ kind) => ENTRIES.filter(([one, , name]) => one === kind && name !== undefined)
const names = (/** @type {Entry[0]} */ kind) => of(kind).map(([, , name]) => name)

test('sixty mixed entries: what is a secret moves, every other byte stays', async () => {
  expect(ENTRIES.length).toBeGreaterThanOrEqual(60)
  await world.aws.reset()
  await world.aws.put({ GITHUB_WEBHOOK_SECRET_staging: `${canary}-hook` })
  env(text())
  const plan = await cli.json('migrate plan')
  const planned = Object.values(plan.document.phases).flat()
  const create = planned.filter(({ action }) => action === 'create').map(({ name }) => name)
  expect([plan.status, create.sort()]).toEqual([1, names('moved').sort()])
  expect(plan.document.stays.map(({ name }) => name)).toEqual(names('stay'))
  expect(plan.document.doubtful.map(({ name }) => name).sort()).toEqual(names('doubt').sort())
  const lineOf = (/** @type {string} */ name) =>
    text()
      .slice(0, text().lastIndexOf(`\n${name}`))
      .split('\n').length + 1
  for (const { name, line } of [...plan.document.stays, ...plan.document.doubtful])
    expect([name, line]).toEqual([name, lineOf(name)])

  const applied = await cli.run('migrate apply --yes')
  expect([applied.status, applied.stderr]).toEqual([0, expect.stringContaining('')])
  for (const [, , name, value] of of('moved')) {
    const live = (await world.aws.versions(`${name}_staging`)).find(({ labels }) => labels.includes('AWSCURRENT'))
    expect([name, live?.value]).toEqual([name, value])
  }
  for (const name of [...names('stay'), ...names('doubt')]) {
    const versions = await world.aws.versions(`${name}_staging`).catch(() => [])
    expect([name, versions]).toEqual([name, []])
  }

  expect((await cli.run('migrate retire --yes')).status).toBe(0)
  const retired = ENTRIES.map(([kind, line, name]) =>
    kind === 'moved' ? `# moved to AWS: ${name ?? 'SAME_TOKEN'}\n` : `${line}\n`,
  )
  expect(fs.readFileSync(file('.env.staging'), 'utf8')).toBe(retired.join(''))

  // What is doubtful keeps the plan open; what is configuration does not.
  expect((await cli.json('migrate plan')).status).toBe(1)
  const kept = ENTRIES.filter(([kind]) => kind !== 'doubt').map(([kind, line]) => (kind === 'moved' ? '' : `${line}\n`))
  env(kept.join(''))
  const end = await cli.json('migrate plan')
  expect([end.status, end.document.complete]).toEqual([0, true])
})

test('every command says what stays, by line and without a value', async () => {
  env(`PORT=3000\nCUT_PASSWORD=${canary}#x\nmy.secret=${canary}\nDATABASE_PASSWORD=${canary}\n`)
  const [plan, apply, retire, validate, migrateValidate] = [
    await cli.run('migrate plan'),
    await cli.run('migrate apply --overwrite --yes'),
    await cli.run('migrate retire --yes'),
    await cli.run('validate'),
    await cli.run('migrate validate'),
  ]
  for (const { stdout } of [plan, apply, retire]) {
    expect(stdout).toMatch(/^PORT +1 +the platform's own$/m)
    expect(stdout).toMatch(/^my\.secret +3 +no name that a secret can have$/m)
    expect(stdout).toMatch(/^CUT_PASSWORD +2 +its value ends before the #/m)
  }
  for (const { stderr } of [validate, migrateValidate]) expect(stderr).toMatch(/line 2 of the env file, CUT_PASSWORD: /)
  expect(migrateValidate.stdout).not.toMatch(/PORT/)
})

test('--include, --exclude, --declared and --name decide otherwise', async () => {
  env(`PORT=3000\nCUT_TOKEN=${canary}#x\nGITHUB_API_TOKEN=${canary}\nLEGACY_TOKEN=${canary}\n`)
  const create = async (/** @type {string} */ args) => {
    const { document } = await cli.json(`migrate plan ${args}`.trim())
    return Object.values(document.phases)
      .flat()
      .filter(({ action }) => action === 'create' || action === 'update')
      .map(({ name }) => name)
      .sort()
  }
  expect(await create('')).toEqual(['GITHUB_API_TOKEN', 'LEGACY_TOKEN'])
  expect(await create('--include P* CUT_TOKEN')).toEqual(['CUT_TOKEN', 'GITHUB_API_TOKEN', 'LEGACY_TOKEN', 'PORT'])
  expect(await create('--exclude legacy_*')).toEqual(['GITHUB_API_TOKEN'])
  expect(await create('--declared')).toEqual(['GITHUB_API_TOKEN'])
  expect(await create('--name PORT')).toEqual(['PORT'])
})

test('a file of configuration only is done at once, and a validation of nothing has not passed', async () => {
  write('tcs-secrets.config.json', {})
  env('PORT=3000\nEMPTY_TOKEN=\n')
  const plan = await cli.run('migrate plan')
  expect([plan.status, plan.stdout]).toEqual([
    0,
    expect.stringMatching(/^EMPTY_TOKEN +2 +empty, so there is nothing to move$/m),
  ])
  expect((await cli.run('migrate apply --yes')).status).toBe(0)
  const { stdout } = await cli.run('migrate validate --only consistency access')
  expect(stdout).toMatch(/^consistency +unchecked +there is no secret to check$/m)
})

onLinux('on a terminal it asks, and lets one choose from a list', async () => {
  env(`PORT=3000\nCUT_TOKEN=${canary}#x\nLEGACY_TOKEN=${canary}\nOTHER_TOKEN=${canary}\n`)
  write('tcs-secrets.config.json', {})
  const line = `exec '${process.execPath}' '${require.resolve('../../cli')}' migrate apply`
  const refused = cli.start(['-qec', line, '/dev/null'], { command: ['script'] })
  await until('it asks', () => refused.outcome.stdout.includes('Go on? [y/N]'))
  refused.child.stdin.write('n\n')
  expect(await refused.ended).toMatchObject({ status: 1, stdout: expect.stringContaining('nothing was changed') })
  const { child, outcome, ended } = cli.start(['-qec', `${line} --choose`, '/dev/null'], { command: ['script'] })
  await until('it shows the list', () => /4 +no +PORT/.test(outcome.stdout.replace(/\u001b\[\d+m/g, '')))
  child.stdin.write('2,3\n')
  await until('it shows the list again', () =>
    /2 +no +OTHER_TOKEN[^]*3 +yes +CUT_TOKEN/.test(outcome.stdout.replace(/\u001b\[\d+m/g, '')),
  )
  child.stdin.write('\n')
  await until('it asks', () => outcome.stdout.includes('Go on? [y/N]'))
  child.stdin.write('y\n')
  expect((await ended).status).toBe(0)
  for (const name of ['LEGACY_TOKEN', 'CUT_TOKEN']) expect(await world.aws.versions(`${name}_staging`)).toHaveLength(1)
  for (const name of ['OTHER_TOKEN', 'PORT'])
    expect(await world.aws.versions(`${name}_staging`).catch(() => [])).toEqual([])
  expect(await cli.json('migrate apply --choose')).toMatchObject({
    status: 2,
    document: error('USAGE', '--choose needs a terminal'),
  })
})

test('long work shows its progress, and Ctrl-C says what was done', async () => {
  env(Array.from({ length: 150 }, (_, i) => `BULK_${i}_TOKEN=${canary}${i}\n`).join(''))
  const whole = await cli.run('migrate apply --yes')
  expect([whole.status, whole.stderr]).toEqual([0, expect.stringMatching(/moved: 100 of 153\nmoved: 153 of 153\n$/)])
  await world.aws.reset()
  await world.aws.fault({ action: { delayMs: 60 } })
  const { child, outcome, ended } = cli.start(['migrate', 'apply', '--yes'])
  await until('a part is done', () => outcome.stderr.includes('moved: 100 of 153'))
  child.kill('SIGINT')
  const { status, stderr } = await ended
  expect([status, stderr]).toEqual([
    130,
    expect.stringMatching(/stopped: 1\d\d of 153 secrets are done; run the command again/),
  ])
  await world.aws.fault({ action: { delayMs: 0 } })
  expect((await cli.run('migrate apply --yes')).status).toBe(0)
})
