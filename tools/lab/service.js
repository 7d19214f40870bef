'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')
const { until } = require('../../__test__/support/until')
const { valueOf } = require('./values')

/** The time for `close()` and the end of the process, in milliseconds. */
const STOP_DEADLINE_MS = 10_000

/** The lab's handle of a reader process (lab/reader.js). */
class Service {
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #pending = new Map()
  #lastId = 0
  /** @type {Promise<void> | undefined} */
  #stopping

  constructor() {
    this.output = ''
    this.killed = false
    this.process = fork(path.join(__dirname, 'reader.js'), [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk) => (this.output = (this.output + chunk).slice(-20_000)))
    }
    this.process.on('message', (/** @type {any} */ { id, result, error }) => {
      const asked = this.#pending.get(id)
      this.#pending.delete(id)
      if (error === undefined) asked?.resolve(result)
      else asked?.reject(Object.assign(new Error(error.message), { code: error.code }))
    })
    /** @type {Promise<{ status: number | null, signal: NodeJS.Signals | null }>} */
    this.ended = new Promise((resolve) => {
      this.process.once('exit', (status, signal) => {
        for (const { reject } of this.#pending.values()) {
          reject(new Error(`a reader ended with ${signal ?? `status ${status}`}\n${this.output}`))
        }
        this.#pending.clear()
        resolve({ status, signal })
      })
    })
  }

  /** @param {import('../..').SecretDeliveryOptions} options @returns {Promise<Service>} */
  static async start(options) {
    const service = new Service()
    await service.ask('open', options)
    return service
  }

  /** @param {string} command @param {unknown[]} args @returns {Promise<any>} */
  ask(command, ...args) {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#pending.set(id, { resolve, reject })
      this.process.send({ id, command, args }, (error) => error !== null && this.#pending.delete(id) && reject(error))
    })
  }

  /** Calls a method of its delivery. @param {string} method @param {unknown[]} args @returns {Promise<any>} */
  call(method, ...args) {
    return this.ask('call', method, ...args)
  }

  /** Resolves when it has read all of `names` in this version. @param {string[]} names */
  async warm(names, version = 1) {
    await until('every known secret is read', async () => {
      const { answers } = await this.ask('read', names)
      return names.every((name, i) => answers[i].value === valueOf(name, version))
    })
  }

  kill() {
    this.killed = true
    this.process.kill('SIGKILL')
    return this.ended
  }

  /** Closes the delivery. The process must then end soon and without an error. */
  stop() {
    return (this.#stopping ??= this.#stop())
  }

  async #stop() {
    if (this.killed) return void (await this.ended)
    const late = setTimeout(() => this.process.kill('SIGKILL'), STOP_DEADLINE_MS)
    const closed = this.ask('close').finally(() => this.process.connected && this.process.disconnect())
    const [, { status, signal }] = await Promise.all([closed, this.ended])
    clearTimeout(late)
    if (status !== 0) throw new Error(`a reader ended with ${signal ?? `status ${status}`}\n${this.output}`)
  }
}

module.exports = { Service }
