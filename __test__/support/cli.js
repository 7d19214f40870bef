'use strict'

// Runs the command line like a user: in a process of its own, without the environment of this one.

const { spawn } = require('node:child_process')
const path = require('node:path')
const { addonVariable } = require('./addon')
const { root } = require('./files')

const entry = path.join(root, 'cli', 'index.js')

/**
 * @typedef {object} Outcome
 * @property {number | null} status
 * @property {NodeJS.Signals | null} signal
 * @property {string} stdout
 * @property {string} stderr
 */

class Cli {
  /** The output of calls that must not print a value. @type {string[]} */
  printed = []

  /** @param {string} cwd @param {Record<string, string>} [env] */
  constructor(cwd, env = {}) {
    this.cwd = cwd
    const { PATH = '' } = process.env
    this.env = { PATH, HOME: cwd, USERPROFILE: cwd, AWS_EC2_METADATA_DISABLED: 'true', ...addonVariable(), ...env }
  }

  /**
   * Starts a call; `ended` resolves with its outcome.
   *
   * @param {string[]} args
   * @param {{ env?: Record<string, string>, cwd?: string, reveals?: boolean, command?: string[] }} [options]
   */
  start(args, { env = {}, cwd = this.cwd, reveals = false, command = [process.execPath, entry] } = {}) {
    const [file, ...before] = command
    const child = spawn(file, [...before, ...args], { cwd, env: { ...this.env, ...env } })
    const outcome = { status: null, signal: null, stdout: '', stderr: '' }
    child.stdout.on('data', (chunk) => (outcome.stdout += chunk))
    child.stderr.on('data', (chunk) => (outcome.stderr += chunk))
    const ended = new Promise((resolve) =>
      child.once('close', (status, signal) => {
        if (!reveals) this.printed.push(outcome.stdout, outcome.stderr)
        resolve({ ...outcome, status, signal })
      }),
    )
    return { child, outcome, ended: /** @type {Promise<Outcome>} */ (ended) }
  }

  /**
   * @param {string | string[]} args A text is split at blanks.
   * @param {Parameters<Cli['start']>[1] & { input?: string }} [options]
   * @returns {Promise<Outcome>}
   */
  run(args, { input = '', ...options } = {}) {
    const { child, ended } = this.start(typeof args === 'string' ? args.split(' ') : args, options)
    child.stdin.on('error', () => {}).end(input)
    return ended
  }

  /** The same with `--json`: the document instead of the output. @param {string} args @param {Parameters<Cli['run']>[1]} [options] */
  async json(args, options) {
    const { status, stdout, stderr } = await this.run(`${args} --json`, options)
    return { status, document: JSON.parse(stdout), stderr }
  }

  /** The same on a terminal (util-linux `script`), where everything is printed to one place. @param {string} args @param {Parameters<Cli['run']>[1] & { columns?: number }} [options] */
  terminal(args, { columns, ...options } = {}) {
    const size = columns === undefined ? '' : `stty cols ${columns} rows 50; `
    const line = `${size}exec '${process.execPath}' '${entry}' ${args}`
    return this.run(['-qec', line, '/dev/null'], { command: ['script'], ...options })
  }
}

module.exports = { Cli }
