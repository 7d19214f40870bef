'use strict'

const { spawnSync } = require('node:child_process')
const { createHash, randomBytes } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../files')
const { unprivileged } = require('../unprivileged')
const { Server, freePort, programIn } = require('./server')

/** The server itself: what Debian has in the PATH runs as another user, in one directory for all. */
const program = () => programIn('rabbitmq-server', ['/usr/lib/rabbitmq/bin', '/opt/homebrew/sbin'])

/** @param {string} password */
function hashed(password) {
  const salt = randomBytes(4)
  const hash = createHash('sha256').update(Buffer.concat([salt, Buffer.from(password)]))
  return Buffer.concat([salt, hash.digest()]).toString('base64')
}

/** How long it may take to start, on a busy machine. */
const START_MS = 90_000

/** A RabbitMQ server in a directory of its own, which ends with it. Takes about five seconds to start. */
class RabbitmqServer {
  /** @param {Server} server @param {string} directory @param {number} port @param {NodeJS.ProcessEnv} env */
  constructor(server, directory, port, env) {
    this.server = server
    this.directory = directory
    this.port = port
    this.env = env
  }

  static isInstalled() {
    return program() !== undefined
  }

  /**
   * @param {Record<string, string>} users Their passwords. Each may do everything in the virtual host `shop`.
   * @param {object} [definitions] More of RabbitMQ's definitions.
   */
  static async start(users, definitions = {}) {
    const found = program()
    if (found === undefined) throw new Error('RabbitMQ is not installed')
    const [directory, port, distribution, epmd] = [temporaryDirectory(), ...(await ports())]
    const owner = unprivileged()
    const [settings, known, plugins] = ['rabbitmq.conf', 'definitions.json', 'plugins'].map((name) =>
      path.join(directory, name),
    )
    const names = Object.keys(users)
    const all = { configure: '.*', write: '.*', read: '.*', vhost: 'shop' }
    fs.writeFileSync(
      known,
      JSON.stringify({
        users: names.map((name) => ({
          name,
          password_hash: hashed(users[name]),
          hashing_algorithm: 'rabbit_password_hashing_sha256',
          tags: '',
        })),
        vhosts: [{ name: 'shop' }, { name: 'other' }],
        permissions: names.map((user) => ({ user, ...all })),
        ...definitions,
      }),
    )
    fs.writeFileSync(settings, [`listeners.tcp.1 = 127.0.0.1:${port}`, `load_definitions = ${known}`, ''].join('\n'))
    fs.writeFileSync(plugins, '[].')
    const { uid, gid } = owner
    if (uid !== undefined && gid !== undefined)
      for (const file of [directory, settings, known, plugins]) fs.chownSync(file, uid, gid)
    const env = {
      HOME: directory,
      ERL_EPMD_ADDRESS: '127.0.0.1',
      ERL_EPMD_PORT: String(epmd),
      RABBITMQ_NODENAME: `test-${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_CONFIG_FILE: settings,
      RABBITMQ_CONF_ENV_FILE: path.join(directory, 'none'),
      RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
      RABBITMQ_MNESIA_BASE: path.join(directory, 'data'),
      RABBITMQ_PID_FILE: path.join(directory, 'pid'),
      RABBITMQ_LOG_BASE: directory,
      RABBITMQ_LOGS: '-',
      ERL_CRASH_DUMP_SECONDS: '0',
    }
    // The server is a child of a script that waits for it: they are one group, which ends together.
    const server = new Server(found, [], { ...owner, cwd: directory, env, detached: true })
    const started = new RabbitmqServer(server, directory, port, env)
    try {
      await server.ready(async () => /Server startup complete/.test(server.output), START_MS)
    } catch (error) {
      await started.stop()
      throw error
    }
    return started
  }

  async stop() {
    await this.server.stop()
    // The server starts Erlang's port mapper, and leaves it.
    spawnSync('epmd', ['-kill'], { stdio: 'ignore', env: { ...process.env, ...this.env } })
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

/** Of the server, of Erlang's distribution and of its port mapper. */
async function ports() {
  return [await freePort(), await freePort(), await freePort()]
}

module.exports = { RabbitmqServer }
