'use strict'

// The base of every server here: a child process on a free port of loopback. It is ready when `start()` returns, and is stopped
// by its process id.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { until } = require('../until')

/** A child process that `stop()` ends. If it does not become ready, the error contains its output. */
class Server {
  /**
   * @param {string} command
   * @param {string[]} args
   * @param {{ env?: Record<string, string>, cwd?: string, stdin?: 'ignore' | 'pipe', uid?: number, gid?: number, detached?: boolean }} [options]
   */
  constructor(command, args, options = {}) {
    this.output = ''
    this.command = command
    const { env, stdin = 'ignore', ...rest } = options
    /** Whether it has a process group of its own, which ends with it. */
    this.isGroup = options.detached === true
    this.process = spawn(command, args, {
      ...rest,
      env: { ...process.env, ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk) => (this.output = (this.output + chunk).slice(-20_000)))
    }
    this.ended = new Promise((resolve) => {
      this.process.once('error', (error) => {
        this.output += error.message
        resolve(undefined)
      })
      this.process.once('close', resolve)
    })
    this.alive = true
    this.ended.then(() => (this.alive = false))
  }

  /** @param {() => Promise<boolean>} condition @param {number} [timeoutMs] */
  async ready(condition, timeoutMs) {
    try {
      await until(
        `${this.command} is ready`,
        async () => {
          if (!this.alive) throw new Error(`${this.command} ended at once`)
          return condition()
        },
        timeoutMs,
      )
    } catch (error) {
      await this.stop()
      throw new Error(`${/** @type {Error} */ (error).message}\n${this.output}`)
    }
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.process.kill(signal)
  }

  async stop() {
    const { pid } = this.process
    if (this.alive && this.isGroup && pid !== undefined) process.kill(-pid, 'SIGKILL')
    else if (this.alive) this.process.kill('SIGKILL')
    await this.ended
  }
}

/** @returns {Promise<number>} A port that was free a moment ago. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
  })
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Looks for a program anew at each call: the set-up may have installed it meanwhile.
 *
 * @param {string} name
 * @param {string[]} places Folders. Debian keeps servers out of the PATH of most users.
 * @returns {string | undefined}
 */
function programIn(name, places) {
  return places.map((place) => path.join(place, name)).find((file) => fs.existsSync(file))
}

module.exports = { Server, accepts, freePort, programIn }
