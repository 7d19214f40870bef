'use strict'

// put, generate, edit, restore, delete, undelete: over the endpoint of this repository. What they do with other Secrets Managers is
// tested at `delivery.store`.

const fs = require('node:fs')
const path = require('node:path')
const { cliWorld, error } = require('../support/cli-world')
const { until } = require('../support/until')

const world = cliWorld()
const { cli, canary } = world
const live = async (id) => (await world.aws.versions(id)).find(({ labels }) => labels.includes('AWSCURRENT'))?.value
const begun = async (id) =>
  (await world.aws.versions(id)).filter(({ labels }) => labels.some((label) => label.startsWith('tcs-secret-delivery')))

describe('put', () => {
  test('takes the value from standard input or a file, without the line end of a single line', async () => {
    const made = await cli.json('put slack hook --yes', { input: `${canary}-hook\r\n` })
    expect(made).toMatchObject({ status: 0, document: { name: 'SLACK_HOOK', outcome: 'created' } })
    expect(made.stderr).toContain('line end')
    expect(await live('SLACK_HOOK_staging')).toBe(`${canary}-hook`)
    world.write('key.pem', `-----BEGIN\n${canary}\n-----END\n`)
    expect(await cli.run('put slack hook --file key.pem --yes')).toMatchObject({ status: 0 })
    expect(await live('SLACK_HOOK_staging')).toBe(`-----BEGIN\n${canary}\n-----END\n`)
    await cli.run('put slack hook --exact --yes', { input: `\uFEFF${canary}\n` })
    expect(await live('SLACK_HOOK_staging')).toBe(`\uFEFF${canary}\n`)
    await cli.run('put slack hook --yes', { input: `\uFEFF${canary}` })
    expect(await live('SLACK_HOOK_staging')).toBe(canary)
  })

  test('a file that is no text is written as bytes, copied as bytes, and not opened in an editor', async () => {
    const bytes = Buffer.concat([Buffer.from([0xff, 0x80, 0x0a, 0x00]), Buffer.from(canary), Buffer.from('\n')])
    fs.writeFileSync(world.file('store.p12'), bytes)
    const made = await cli.json('put github webhook_secret --binary --file store.p12 --yes')
    const refused = await cli.json('put github webhook_secret --file store.p12 --yes')
    expect(refused).toMatchObject({ status: 2, document: error('VALUE_UNFIT', '--binary') })
    expect(made).toMatchObject({ status: 0, document: { outcome: 'created' } })
    const held = async (/** @type {string} */ environment) =>
      Buffer.from((await world.aws.versions(`GITHUB_WEBHOOK_SECRET_${environment}`)).at(-1)?.value ?? '', 'base64')
    expect((await held('staging')).equals(bytes)).toBe(true)
    expect(await cli.run('put github webhook_secret --binary --yes --file store.p12')).toMatchObject({ status: 0 })
    expect(await cli.run('copy staging production GITHUB_WEBHOOK_SECRET --yes')).toMatchObject({ status: 0 })
    expect((await held('production')).equals(bytes)).toBe(true)
    const edited = await cli.json('edit github webhook_secret --yes', { env: { EDITOR: 'false' } })
    expect(edited).toMatchObject({ status: 2, document: error('VALUE_UNFIT', 'bytes') })
  })

  test('a text in UTF-16 is named, and not taken for bytes', async () => {
    fs.writeFileSync(world.file('value.txt'), Buffer.from(`\uFEFF${canary}`, 'utf16le'))
    const refused = await cli.json('put github webhook_secret --file value.txt --yes')
    expect(refused).toMatchObject({ status: 2, document: error('VALUE_UNFIT', 'iconv') })
  })

  test('shows what changes by name and kind, and how to go back', async () => {
    await cli.run('put jira config --yes', { input: `{"user":"app","token":"${canary}"}` })
    const { stdout, stderr } = await cli.run('put jira config --yes', { input: `{"token":"${canary}2","url":1}` })
    expect(stderr).toMatch(/JIRA_CONFIG +changed +changed: token; added: url; removed: user/)
    const [, previous] = /Back: tcs-secrets restore JIRA_CONFIG --to ([\w-]+)/.exec(stdout) ?? []
    expect(await cli.run(`restore JIRA_CONFIG --to ${previous} --yes`)).toMatchObject({ status: 0 })
    expect(await live('JIRA_CONFIG_staging')).toBe(`{"user":"app","token":"${canary}"}`)
    const again = await cli.json('put jira config --yes', { input: `{"user":"app","token":"${canary}"}` })
    expect(again.document).toMatchObject({ outcome: 'kept' })
  })

  test.each([
    ['a third word', ['put', 'github', 'api_token', 'hunter2']],
    ['a second word behind a declared name', ['put', 'GITHUB_API_TOKEN', 'hunter2']],
    ['a second word that is no type', ['put', 'github', 'p@ss word']],
    ['a token as the type', ['put', 'slack', 'xoxb-1234567890-abcdef']],
    ['NAME=value', ['put', 'GITHUB_API_TOKEN=hunter2']],
    ['--value', ['put', 'github', 'api_token', '--value', 'hunter2']],
    ['--value=', ['put', 'github', 'api_token', '--value=hunter2']],
  ])('refuses a value as an argument: %s', async (_, args) => {
    await world.aws.resetCalls()
    const { status, stdout, stderr } = await cli.run([...args, '--yes'], { input: 'x' })
    expect([status, stdout]).toEqual([5, ''])
    expect(stderr).toContain('history of the shell')
    expect(stderr).not.toMatch(/hunter2|p@ss|xoxb/)
    expect((await world.aws.calls()).total).toBe(0)
  })

  test('does not repeat a value that an unknown option has', async () => {
    const { status, stderr } = await cli.run(['put', 'github', 'api_token', '--passwort=hunter2'], { input: '' })
    expect(status).toBe(2)
    expect(stderr).toContain('--passwort')
    expect(stderr).not.toContain('hunter2')
  })

  test.each([
    ['nothing', Buffer.from(''), 'VALUE_UNFIT', 2],
    ['a line end', Buffer.from('\n'), 'VALUE_UNFIT', 2],
    ['no UTF-8', Buffer.from([0x61, 0xff, 0x62]), 'VALUE_UNFIT', 2],
    ['UTF-16', Buffer.from('ab', 'utf16le'), 'VALUE_UNFIT', 2],
    ['too much', Buffer.alloc(70_000, 'x'), 'VALUE_UNFIT', 2],
    ['a byte too much', Buffer.alloc(65_537, 'x'), 'SOURCE_RESPONSE_INVALID', 4],
  ])('takes no value that cannot be one: %s', async (_, input, code, exit) => {
    const { child, ended } = cli.start(['put', 'github', 'api_token', '--yes', '--json'])
    child.stdin.on('error', () => {}).end(input)
    const { status, stdout } = await ended
    expect([status, JSON.parse(stdout)]).toEqual([exit, error(code)])
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-token`)
  })

  test.each([
    ['/dev/zero', 4],
    [__dirname, 4],
    ['not-there.txt', 4],
  ])('says at once that %s is no file with a value', async (file, exit) => {
    const began = Date.now()
    expect(await cli.json(`put github api_token --yes --file ${file}`)).toMatchObject({
      status: exit,
      document: error('FILE_NOT_READ'),
    })
    expect(Date.now() - began).toBeLessThan(5_000)
  })

  test('needs --yes where nobody can be asked, and warns of a name that is not declared', async () => {
    expect(await cli.json('put github api_token', { input: 'x' })).toMatchObject({
      status: 2,
      document: error('CONFIRMATION_NEEDED', '--yes'),
    })
    const { stderr } = await cli.run('put GITHUB_API_TOKN --yes', { input: canary })
    expect(stderr).toContain('did you mean GITHUB_API_TOKEN?')
  })

  test('leaves what others take care of, and says what is missing half-way', async () => {
    await world.aws.keeper('GITHUB_API_TOKEN_staging', { owningService: 'rds' })
    const kept = await cli.json('put github api_token --yes', { input: canary })
    expect(kept).toMatchObject({ status: 4, document: error('SECRET_ACCESS_DENIED', 'rds') })
    await world.aws.deny({ actions: ['UpdateSecretVersionStage'] })
    const denied = await cli.json('put database password --yes', { input: canary })
    expect(denied).toMatchObject({ status: 4, document: error('SECRET_ACCESS_DENIED', 'UpdateSecretVersionStage') })
    expect(await live('DATABASE_PASSWORD_staging')).toBe(`${canary} 'quoted' $x`)
    // The version that was begun is used when it is done again.
    expect((await begun('DATABASE_PASSWORD_staging')).length).toBe(1)
    await world.aws.allow()
    expect(await cli.run('put database password --yes', { input: canary })).toMatchObject({ status: 0 })
    expect((await world.aws.versions('DATABASE_PASSWORD_staging')).filter(({ value }) => value === canary).length).toBe(
      1,
    )
    expect(await begun('DATABASE_PASSWORD_staging')).toEqual([])
  })

  test('killed between two steps leaves the old value live, and is continued by the same command', async () => {
    await world.aws.fault({ action: { hang: true }, match: { operation: 'UpdateSecretVersionStage' }, times: 1 })
    const { child, ended } = cli.start(['put', 'github', 'api_token', '--yes'])
    child.stdin.end(`${canary}-new`)
    await until('the version is begun', async () => (await begun('GITHUB_API_TOKEN_staging')).length === 1)
    child.kill('SIGKILL')
    await ended
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-token`)
    await world.aws.clearFaults()
    expect(await cli.run('put github api_token --yes', { input: `${canary}-new` })).toMatchObject({ status: 0 })
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-new`)
    expect((await world.aws.versions('GITHUB_API_TOKEN_staging')).length).toBe(2)
  })

  test('on a terminal asks for the value without showing it, and then whether to go on', async () => {
    const { child, outcome, ended } = cli.start(
      [
        '-qec',
        `stty cols 80; '${process.execPath}' '${path.join(__dirname, '../../cli/index.js')}' put github api_token`,
        '/dev/null',
      ],
      { command: ['script'] },
    )
    for (const [question, answer] of [
      ['Value of GITHUB_API_TOKEN: ', `x\u007f${canary}-typed\r`],
      ['The same again: ', `${canary}-typed\r`],
      ['Go on? [y/N] ', 'y\n'],
    ]) {
      await until(question, () => outcome.stdout.includes(question))
      child.stdin.write(answer)
    }
    expect((await ended).status).toBe(0)
    expect(outcome.stdout.split('\n').filter((line) => line.trimEnd().length > 80)).toEqual([])
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-typed`)
  })

  test('on a terminal ends with Ctrl-C at the prompt, and changes nothing', async () => {
    const { child, outcome, ended } = cli.start(
      [
        '-qec',
        `'${process.execPath}' '${path.join(__dirname, '../../cli/index.js')}' put github api_token`,
        '/dev/null',
      ],
      { command: ['script'] },
    )
    await until('it asks', () => outcome.stdout.includes('Value of'))
    child.stdin.write('secr\u0003')
    expect((await ended).status).toBe(130)
    expect(await live('GITHUB_API_TOKEN_staging')).toBe(`${canary}-token`)
  })
})

describe('generate', () => {
  test('makes a value that nobody sees, and replaces no token', async () => {
    const made = await cli.json('generate session key --length 64 --charset hex --yes')
    expect(made).toMatchObject({ status: 0, document: { outcome: 'created' } })
    const value = await live('SESSION_KEY_staging')
    expect(value).toMatch(/^[0-9a-f]{64}$/)
    expect(made.stderr + JSON.stringify(made.document)).not.toContain(value)
    await world.aws.put({ GITHUB_API_TOKEN_staging: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789' })
    expect(await cli.json('generate github api_token --yes')).toMatchObject({
      status: 4,
      document: error('SOURCE_RESPONSE_INVALID', 'token'),
    })
    expect(await cli.run('generate session key --length 7 --yes')).toMatchObject({ status: 2 })
  })
})

describe('edit', () => {
  const editor = (/** @type {string} */ script) => {
    world.write('editor.sh', `#!/bin/sh\n${script}\n`)
    fs.chmodSync(world.file('editor.sh'), 0o700)
    return { EDITOR: world.file('editor.sh'), VISUAL: '', XDG_RUNTIME_DIR: world.file('run') }
  }
  beforeEach(() => fs.mkdirSync(world.file('run')))
  const left = () => fs.readdirSync(world.file('run'))

  test('opens a private file, writes what was changed, and removes it', async () => {
    await world.aws.put({ DATABASE_PASSWORD_staging: canary })
    const env = editor(
      `ls -l "$1" > seen; ls -ld "$(dirname "$1")" >> seen; printf '%s-edited\\n' "$(cat "$1")" > "$1"; echo b > "$1~"`,
    )
    expect(await cli.run('edit database password --yes', { env })).toMatchObject({ status: 0 })
    expect(await live('DATABASE_PASSWORD_staging')).toBe(`${canary}-edited`)
    expect(fs.readFileSync(world.file('seen'), 'utf8')).toMatch(/^-rw-------[^]*\ndrwx------/)
    expect(left()).toEqual([])
    const kept = await cli.json('edit database password --yes', { env: editor('true') })
    expect(kept).toMatchObject({ status: 0, document: { outcome: 'kept' } })
  })

  test('writes nothing when the editor fails, JSON is broken, or another version is live by then', async () => {
    await world.aws.put({ JIRA_CONFIG_staging: `{"a":"${canary}"}` })
    expect(await cli.json('edit jira config --yes', { env: editor('exit 3') })).toMatchObject({
      status: 2,
      document: error('EDITOR_FAILED'),
    })
    const broken = await cli.json('edit jira config --yes', { env: editor(`echo '{"a":1,}' > "$1"`) })
    expect(broken).toMatchObject({ status: 2, document: error('VALUE_UNFIT', 'line 1') })
    const [before] = await world.aws.versions('JIRA_CONFIG_staging')
    const env = editor(
      `curl -s -X POST ${world.aws.url}/_control/secrets -d '{"JIRA_CONFIG_staging":"other"}' >/dev/null; echo '{"a":2}' > "$1"`,
    )
    const late = await cli.json('edit jira config --yes', { env })
    expect(late).toMatchObject({ status: 1, document: error('SECRET_CHANGED') })
    expect(before.value).toContain(canary)
    expect(await live('JIRA_CONFIG_staging')).toBe('other')
    expect(left()).toEqual([])
  })

  test.each(/** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGINT']))('removes the file on %s', async (signal) => {
    const env = editor('touch started; trap "exit 0" TERM HUP; while :; do sleep 0.05; done')
    const { child, ended } = cli.start(['edit', 'database', 'password', '--yes'], { env })
    await until('the editor runs', () => fs.existsSync(world.file('started')))
    expect(left().length).toBe(1)
    // Ctrl-C is for the editor: this program goes on.
    child.kill(signal)
    if (signal === 'SIGINT') child.kill('SIGTERM')
    expect((await ended).status).toBe(signal === 'SIGHUP' ? 129 : 143)
    expect(left()).toEqual([])
  })
})

describe('delete and undelete', () => {
  test('mark a secret and bring it back, with how to do so', async () => {
    const marked = await cli.run('delete github api_token --days 7 --yes')
    expect(marked.status).toBe(0)
    expect(marked.stdout).toMatch(/AWS deletes it at \d{4}-\d\d-\d\d[^]*Back: tcs-secrets undelete GITHUB_API_TOKEN/)
    expect(await cli.run('get github api_token')).toMatchObject({ status: 1 })
    for (const command of [
      'history github api_token',
      'edit github api_token --yes',
      'restore github api_token --yes',
    ]) {
      const { status, document } = await cli.json(command)
      expect([status, document.error.message]).toEqual([1, expect.stringContaining('undelete GITHUB_API_TOKEN')])
    }
    expect(await cli.json('undelete github api_token --yes')).toMatchObject({
      status: 0,
      document: { outcome: 'restored' },
    })
    expect(await cli.run('get github api_token')).toMatchObject({ status: 0 })
    expect(await cli.json('undelete github api_tokn --yes')).toMatchObject({
      status: 1,
      document: error('SECRET_NOT_FOUND', 'did you mean GITHUB_API_TOKEN?'),
    })
    expect(await cli.run('delete github api_token --days 3 --yes')).toMatchObject({ status: 2 })
    expect(await cli.run('delete github api_token')).toMatchObject({ status: 2 })
  })

  test('a field is taken out of its secret, and history has who did it', async () => {
    world.write('tcs-secrets.config.json', {
      tools: { jira: { aws: '{environment}/jira', secrets: { user: {}, token: {} } } },
    })
    await world.aws.put({ 'staging/jira': `{"user":"app","token":"${canary}"}` })
    expect(await cli.json('delete jira token --yes')).toMatchObject({ status: 0, document: { outcome: 'removed' } })
    expect(await live('staging/jira')).toBe('{"user":"app"}')
    expect(await cli.run('restore jira token --yes')).toMatchObject({ status: 0 })
    expect(await live('staging/jira')).toBe(`{"user":"app","token":"${canary}"}`)
    await cli.run('put jira token --yes', { input: 'x2' })
    const { document } = await cli.json('history jira token')
    expect(document.versions[0]).toMatchObject({ label: 'AWSCURRENT', madeBy: 'write by tcs-secrets' })
  })
})
