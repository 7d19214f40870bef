'use strict'

// `tcs-secrets rotate` and `due` as processes of their own, over the in-repo AWS endpoint.

const { until } = require('../support/until')
const { cliWorld, error } = require('../support/cli-world')

const { cli, config, write } = cliWorld()

const onLinux = process.platform === 'linux' ? test : test.skip

describe('rotate and due', () => {
  test('rotate gives a new value, when nobody has to be asked', async () => {
    const refused = await cli.json('rotate database password')
    expect([refused.status, refused.document]).toEqual([2, error('CONFIRMATION_NEEDED', '--yes')])
    const madeUp = await cli.json('rotate database password --yes')
    expect([madeUp.status, madeUp.document.outcome]).toEqual([1, 'failed'])
    expect(madeUp.document.error.message).toContain('--generate')
    const { status, document } = await cli.json('rotate database password --yes --generate')
    expect([status, document.name, document.outcome]).toEqual([0, 'DATABASE_PASSWORD', 'finished'])
    const { stdout } = await cli.run('get database password --reveal', { reveals: true })
    expect(stdout).toMatch(/^[A-Za-z0-9]{32}$/)
  })

  test('rotate ends with 1 when it did not succeed', async () => {
    const { status, document } = await cli.json('rotate NOT_THERE --yes')
    expect([status, document.outcome, document.error.code]).toEqual([1, 'failed', 'ROTATION_FAILED'])
  })

  test('the hooks of a configuration in JavaScript are called', async () => {
    write(
      'hooks.cjs',
      `module.exports = { ...${JSON.stringify(config).replace(',"phase":"critical"', '')}, rotation: { hooks: { set() { throw new Error('no') } } } }`,
    )
    const { status, document } = await cli.json('rotate DATABASE_PASSWORD --yes --config hooks.cjs')
    expect([status, document.outcome, document.steps.map(({ step }) => step)]).toEqual([1, 'failed', ['create', 'set']])
  })

  onLinux('rotate asks on a terminal', async () => {
    for (const [answer, status, said] of [
      ['n', 1, 'was not rotated'],
      ['y', 0, 'the new value is live'],
    ]) {
      const { child, outcome, ended } = cli.start(
        ['-qec', `'${process.execPath}' '${require.resolve('../../cli')}' rotate DATABASE_PASSWORD`, '/dev/null'],
        {
          command: ['script'],
        },
      )
      await until('the question is asked', () => outcome.stdout.includes('[y/N]'))
      child.stdin.write(`${answer}\n`)
      expect(await ended).toMatchObject({ status, stdout: expect.stringContaining(said) })
    }
  })

  test('due shows when', async () => {
    const { status, document } = await cli.json('due')
    expect([status, document.secrets.map(({ name, state }) => [name, state])]).toEqual([
      0,
      [
        ['GITHUB_API_TOKEN', 'later'],
        ['DATABASE_PASSWORD', 'later'],
        ['GITHUB_WEBHOOK_SECRET', 'unknown'],
      ],
    ])
    const { stdout } = await cli.run('due')
    expect(stdout).toMatch(/^DATABASE_PASSWORD +later +\d{4}-\d\d-\d\d 02:00 UTC \(in \d+ days\)/m)
  })
})
