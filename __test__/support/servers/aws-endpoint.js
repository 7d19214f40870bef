'use strict'

const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { root } = require('../files')
const { request } = require('../request')
const { Server } = require('./server')

/** The in-repo AWS endpoint (crates/aws-endpoint): documented rules, faults on demand. */
class AwsEndpoint {
  /** @param {Server} server @param {string} url */
  constructor(server, url) {
    this.server = server
    this.url = url
  }

  /**
   * @param {{ profile?: 'debug' | 'release', port?: number }} [options] Debug is what `npm test` builds.
   * @returns {Promise<AwsEndpoint>}
   */
  static async start({ profile = 'debug', port } = {}) {
    const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
    const args = ['--exit-with-stdin', ...(port === undefined ? [] : ['--port', String(port)])]
    const program = path.join(target, profile, process.platform === 'win32' ? 'aws-endpoint.exe' : 'aws-endpoint')
    if (!fs.existsSync(program)) throw new Error(`${program} is not there: cargo build -p aws-endpoint`)
    const server = new Server(program, args, { stdin: 'pipe' })
    const lines = readline.createInterface({ input: /** @type {any} */ (server.process.stdout) })
    /** @type {string | undefined} */
    let url
    lines.once('line', (line) => (url = /http:\/\/\S+/.exec(line)?.[0]))
    await server.ready(async () => url !== undefined)
    return new AwsEndpoint(server, /** @type {string} */ (/** @type {unknown} */ (url)))
  }

  /** Options of a `SecretDelivery` that asks this endpoint. */
  get options() {
    return { endpoint: this.url, region: 'eu-central-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
  }

  /** Removes all secrets, denials, faults and counts. */
  reset() {
    return request(`${this.url}/_control/reset`, 'POST')
  }

  /** @param {Record<string, string>} secrets Values by AWS id. */
  put(secrets) {
    return request(`${this.url}/_control/secrets`, 'POST', secrets)
  }

  /**
   * Makes secrets in another account.
   *
   * @param {string} account
   * @param {Record<string, string>} secrets
   */
  putIn(account, secrets) {
    return request(`${this.url}/_control/accounts/${account}`, 'POST', secrets)
  }

  /** @param {Record<string, string>} accounts Users of other accounts: the account by access key id. */
  users(accounts) {
    return request(`${this.url}/_control/users`, 'POST', accounts)
  }

  /** @param {Record<string, string>} keys Secret keys by access key id, whose signatures are checked from then on. */
  secretKeys(keys) {
    return request(`${this.url}/_control/secret-keys`, 'POST', keys)
  }

  /**
   * Makes a role that may be assumed.
   *
   * @param {string} arn
   * @param {{ externalId?: string, trusts?: string[], lastsMs?: number }} [role] `trusts`: access key ids, or ARNs of roles.
   */
  role(arn, role = {}) {
    return request(`${this.url}/_control/roles`, 'POST', { arn, ...role })
  }

  /** @param {Record<string, number>} perSecond Calls of an operation a second; more are throttled. */
  quotas(perSecond) {
    return request(`${this.url}/_control/quotas`, 'POST', perSecond)
  }

  /**
   * Has secrets made from now on be of this region, and refuses signatures for others that have no replicas.
   *
   * @param {string} region
   */
  region(region) {
    return request(`${this.url}/_control/region`, 'POST', { region })
  }

  /** @param {string} arn Its sessions go on. */
  removeRole(arn) {
    return request(`${this.url}/_control/roles/${encodeURIComponent(arn)}`, 'DELETE')
  }

  /**
   * What AWS answers to an operation.
   *
   * @param {string} operation
   * @param {object} input
   * @returns {Promise<any>}
   */
  async ask(operation, input) {
    const headers = {
      authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request',
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `secretsmanager.${operation}`,
    }
    const answer = await fetch(this.url, { method: 'POST', headers, body: JSON.stringify(input) })
    const said = await answer.json()
    if (!answer.ok) throw new Error(`${operation}: ${said.__type ?? answer.status}`)
    return said
  }

  /** @param {string} name */
  remove(name) {
    return request(`${this.url}/_control/secrets/${encodeURIComponent(name)}`, 'DELETE')
  }

  /**
   * Every version of a secret. Faults do not affect this call.
   *
   * @param {string} name
   * @returns {Promise<{ versionId: string, value: string, labels: string[], wasLive: boolean }[]>} `wasLive`: it has, or had, AWSCURRENT.
   */
  versions(name) {
    return request(`${this.url}/_control/secrets/${encodeURIComponent(name)}`)
  }

  /** @param {object} fault `{ action: { error: { status, code } } | { delayMs } | …, match?: { operation?, secret?, stage? }, times?, probability? }`, see crates/aws-endpoint. */
  fault(fault) {
    return request(`${this.url}/_control/faults`, 'POST', fault)
  }

  /**
   * For this long after a label moved, reads of the live version still return the previous one.
   *
   * @param {number} ms
   */
  lag(ms) {
    return request(`${this.url}/_control/lag`, 'POST', { ms })
  }

  /**
   * For this long after a write, reads by id and by label, and DescribeSecret, show what was there before it.
   *
   * @param {number} ms
   */
  late(ms) {
    return request(`${this.url}/_control/late`, 'POST', { ms })
  }

  /**
   * Says who takes care of a secret.
   *
   * @param {string} secret
   * @param {{ rotationEnabled?: boolean, nextRotationUnixSeconds?: number, owningService?: string, type?: string }} keeper
   */
  keeper(secret, keeper) {
    return request(`${this.url}/_control/keepers`, 'POST', { secret, ...keeper })
  }

  clearFaults() {
    return request(`${this.url}/_control/faults`, 'DELETE')
  }

  /** @param {{ actions: string[], secrets?: string[], accessKeyId?: string }} denial Of every identity, or of one. */
  deny(denial) {
    return request(`${this.url}/_control/deny`, 'POST', denial)
  }

  allow() {
    return request(`${this.url}/_control/deny`, 'DELETE')
  }

  /** @returns {Promise<{ total: number, byOperation: Record<string, number>, connectionsOpened: number }>} */
  calls() {
    return request(`${this.url}/_control/calls`)
  }

  resetCalls() {
    return request(`${this.url}/_control/calls/reset`, 'POST')
  }

  stop() {
    return this.server.stop()
  }
}

module.exports = { AwsEndpoint }
