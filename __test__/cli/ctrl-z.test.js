'use strict'

// Ctrl-Z: a command that is stopped holds no lock of the service's audit log, and goes on when it is continued.

const fs = require('node:fs')
const path = require('node:path')
const { SecretDelivery, verifyAuditLog } = require('../..')
const { cliWorld } = require('../support/cli-world')
const { until } = require('../support/until')

const world = cliWorld()
const { cli, logs } = world
const log = path.join(logs, 'secret-audit.jsonl')
const onLinux = process.platform === 'linux' ? test : test.skip

/** Whether a process is stopped. @param {number} pid */
const isStopped = (pid) => /\) T /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'))

onLinux(
  '20 times while it reads: the service writes its log all the same',
  async () => {
    const delivery = new SecretDelivery({
      environment: 'staging',
      aws: world.aws.options,
      audit: { path: log },
      cache: { encryptionKeys: [] },
    })
    try {
      for (let round = 0; round < 20; round++) {
        const { child, ended } = cli.start(['explain', 'github', 'api_token'])
        const pid = /** @type {number} */ (child.pid)
        // At another moment of its life each time; it may have ended by then.
        await new Promise((resolve) => setTimeout(resolve, 60 + 12 * round))
        child.kill('SIGTSTP')
        const stopped = await until('it is stopped, or over', () => child.exitCode !== null || isStopped(pid)).then(
          () => child.exitCode === null,
        )
        const begun = performance.now()
        await delivery.cache.set(`A_${round}`, 'value')
        expect(performance.now() - begun).toBeLessThan(1_000)
        if (stopped) {
          await until('the record is in the file', () => fs.readFileSync(log, 'utf8').includes(`"A_${round}"`), 5_000)
          child.kill('SIGCONT')
        }
        expect((await ended).status).toBe(0)
      }
    } finally {
      await delivery.close()
    }
    expect(await verifyAuditLog(log)).toMatchObject({ valid: true })
  },
  120_000,
)
