'use strict'

// The Secrets Manager that is asked: signed calls, and a name space of the run's own that is removed again.

const { randomBytes, randomUUID } = require('node:crypto')
const { setTimeout: delay } = require('node:timers/promises')
const sdk = require('@aws-sdk/client-secrets-manager')
const sts = require('@aws-sdk/client-sts')
const { Interrupted, Unasked } = require('./verdict')

/**
 * @typedef {{ code?: string, message: string, status: number, requestId?: string, date?: string, text: string, output: any }} Answer
 *   `code` is AWS's error code, and missing where the call succeeded; `text` is the body as it came.
 * @typedef {{ accessKeyId: string, secretAccessKey: string, sessionToken?: string }} Credentials
 * @typedef {{ endpoint?: string, region?: string, role?: string, replicaRegion?: string, owned?: string }} Place
 */

/** How long one call may take, in milliseconds. */
const DEADLINE_MS = 20_000
/** How long AWS is given until it shows what was written, in milliseconds. A stand-in shows it at once. */
const PATIENCE_MS = 20_000
/** Codes of servers that do not have an operation. */
const UNKNOWN_OPERATION = [
  'InvalidAction',
  'NotImplemented',
  'NotImplementedException',
  'UnknownOperation',
  'UnknownOperationException',
]
/** Codes that do not say whether a secret is there. */
const WHO_KNOWS = ['AccessDeniedException', 'ThrottlingException', 'InternalServiceError']
/** How often a removal, and a throttled call, is tried. */
const REMOVALS = 8
const THROTTLED = 5
/** "ListSecrets might not reflect changes from the last five minutes", in milliseconds. */
const LIST_PATIENCE_MS = 330_000
const NAME_SPACE = 'tcs-conformance/'

/** A call got no answer. */
class NoAnswer extends Error {}

class World {
  /** @param {Place} place */
  constructor({ endpoint, region, role, replicaRegion, owned }) {
    this.endpoint = endpoint
    this.region = region
    this.role = role ?? (endpoint === undefined ? undefined : 'arn:aws:iam::000000000000:role/tcs-conformance')
    this.replicaRegion = replicaRegion
    this.owned = owned
    this.prefix = `${NAME_SPACE}${randomBytes(6).toString('hex')}/`
    this.patience = endpoint === undefined ? PATIENCE_MS : 0
    /** Every name that a call may have created. @type {Set<string>} */
    this.names = new Set()
    /** @type {NodeJS.Signals | undefined} */
    this.stopped = undefined
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve()
    /** @type {sdk.SecretsManagerClient[]} */
    this.clients = []
    this.client = this.open()
    /** Replicas that `remove` has to detach first. @type {{ SecretId: string, RemoveReplicaRegions: string[] }[]} */
    this.replicas = []
    /** What rules share, by its name. @type {Map<string, Promise<any>>} */
    this.shared = new Map()
  }

  /** A client of this place, with other settings than the run's. @param {sdk.SecretsManagerClientConfig} [settings] */
  open(settings = {}) {
    const client = new sdk.SecretsManagerClient({
      ...(this.endpoint !== undefined && { endpoint: this.endpoint, credentials: STAND_IN }),
      ...(this.region !== undefined && { region: this.region }),
      maxAttempts: 1,
      ...settings,
    })
    this.clients.push(client)
    return client
  }

  /** Rejects where requests cannot even be signed, before anything is made. */
  async check() {
    await this.client.config.region().catch(() => {
      throw new Error('there is no region: give --region, or set AWS_REGION')
    })
    await this.client.config.credentials().catch((/** @type {Error} */ { message }) => {
      throw new Error(`there are no credentials: ${message}`)
    })
  }

  /**
   * One signed call. A refusal is an answer.
   *
   * @param {string} operation Such as `GetSecretValue`.
   * @param {object} input
   * @param {sdk.SecretsManagerClient} [client]
   * @returns {Promise<Answer>}
   */
  async call(operation, input, client = this.client) {
    if (this.stopped !== undefined) throw new Interrupted(`ended by ${this.stopped}`)
    /** @type {Answer} */
    let answer
    for (let attempt = 1; ; attempt++) {
      const sent = send(client, operation, input)
      this.last = sent.catch(() => {})
      answer = await sent
      if (answer.code !== 'ThrottlingException' || attempt === THROTTLED || this.stopped !== undefined) break
      await delay(200 * 2 ** attempt)
    }
    if (answer.status === 501 || UNKNOWN_OPERATION.includes(answer.code ?? '')) {
      throw new Unasked(`${operation} is not there`)
    }
    return answer
  }

  /** A call that prepares a question: a refusal means that the question cannot be asked. @param {string} operation @param {object} input */
  async must(operation, input) {
    const answer = await this.call(operation, input)
    if (answer.code !== undefined) throw new Unasked(`${operation}: ${answer.code}`)
    return answer.output
  }

  /** The whole name of a secret of this run. @param {string} label */
  name(label) {
    const name = `${this.prefix}${label}`
    this.names.add(name)
    return name
  }

  /**
   * Creates a secret, with a text unless the input says otherwise.
   *
   * @param {string} label
   * @param {object} [input]
   * @returns {Promise<{ ARN: string, Name: string, VersionId?: string }>}
   */
  create(label, input = { SecretString: `value of ${label}` }) {
    return this.must('CreateSecret', { Name: this.name(label), ...input })
  }

  /** What several rules need is made once. @template T @param {string} name @param {() => Promise<T>} make @returns {Promise<T>} */
  once(name, make) {
    const made = this.shared.get(name) ?? make()
    this.shared.set(name, made)
    return made
  }

  /** A secret that no rule changes. */
  plain() {
    return this.once('plain', () => this.create('plain'))
  }

  /**
   * Asks again until the answer fits, as long as this place may take to show what was written. Returns the last answer.
   *
   * @template T
   * @param {() => Promise<T>} ask
   * @param {(answer: T) => boolean} fits
   * @param {number} [patience] In milliseconds.
   * @returns {Promise<T>}
   */
  async settled(ask, fits, patience = this.patience) {
    const end = Date.now() + patience
    for (;;) {
      const answer = await ask()
      if (fits(answer) || Date.now() >= end) return answer
      await delay(500)
    }
  }

  /** How long a list may take to show what was written. */
  get listPatience() {
    return this.endpoint === undefined ? LIST_PATIENCE_MS : 0
  }

  /** The id of a version of this run's own. */
  token() {
    return randomUUID()
  }

  /**
   * A client whose rights are those of a role within a policy.
   *
   * @param {object[]} statements
   */
  async session(statements) {
    if (this.role === undefined) throw new Unasked('needs --role, a role that may use Secrets Manager')
    await this.once('enforced', () => this.checkSessions())
    return this.assume(statements)
  }

  /** Finds out whether this place minds the policy of a session. */
  async checkSessions() {
    const { ARN } = await this.plain()
    const client = await this.assume([{ Effect: 'Deny', Action: '*', Resource: '*' }])
    const { code } = await this.call('GetSecretValue', { SecretId: ARN }, client)
    if (code !== 'AccessDeniedException') throw new Unasked('policies of sessions have no effect here')
  }

  /** @param {object[]} Statement */
  async assume(Statement) {
    const settings = {
      ...(this.endpoint !== undefined && { endpoint: this.endpoint, credentials: STAND_IN }),
      ...(this.region !== undefined && { region: this.region }),
      maxAttempts: 1,
    }
    const client = new sts.STSClient(settings)
    try {
      const command = new sts.AssumeRoleCommand({
        RoleArn: this.role,
        RoleSessionName: 'tcs-conformance',
        Policy: JSON.stringify({ Version: '2012-10-17', Statement }),
      })
      const { AssumedRoleUser: assumed, Credentials: given } = await client.send(command)
      if (given?.AccessKeyId === undefined) throw new Unasked('there is no STS')
      // What a session creates is removed by the run's own identity.
      const { ARN } = await this.plain()
      const accounts = [assumed?.Arn, ARN].map((arn) => arn?.split(':')[4])
      if (accounts[0] !== accounts[1]) throw new Unasked('the role is one of another account')
      return this.open({
        credentials: {
          accessKeyId: given.AccessKeyId,
          secretAccessKey: /** @type {string} */ (given.SecretAccessKey),
          sessionToken: given.SessionToken,
        },
      })
    } catch (error) {
      if (error instanceof Unasked) throw error
      const { name } = /** @type {Error} */ (error)
      throw new Unasked(this.endpoint === undefined ? `AssumeRole: ${name}` : 'there is no STS')
    } finally {
      client.destroy()
    }
  }

  /** Lets the call that is on its way end, and refuses others. @param {NodeJS.Signals} signal */
  stop(signal) {
    this.stopped = signal
  }

  /**
   * Removes everything below the prefix. Returns the names of what could not be removed.
   *
   * @returns {Promise<string[]>}
   */
  async remove() {
    // A creation that is on its way may succeed after its removal was asked for.
    await this.last
    const names = new Set(this.names)
    try {
      for (const replica of this.replicas) await send(this.client, 'RemoveRegionsFromReplication', replica)
      for (const name of await listedBelow(this.client, this.prefix)) names.add(name)
      for (const name of names) if (await removed(this.client, name)) names.delete(name)
    } catch (error) {
      // The others would not get an answer either.
      if (!(error instanceof NoAnswer)) throw error
    }
    for (const client of this.clients) client.destroy()
    return [...names]
  }
}

/** What stand-ins take from anybody. */
const STAND_IN = { accessKeyId: 'test', secretAccessKey: 'test' }

/** @param {sdk.SecretsManagerClient} client @param {string} operation @param {any} input @returns {Promise<Answer>} */
async function send(client, operation, input) {
  const Command = /** @type {any} */ (sdk)[`${operation}Command`]
  const command = new Command(input)
  /** @type {{ status: number, text: string, date?: string } | undefined} */
  let kept
  const keepBody = (/** @type {any} */ next) => async (/** @type {any} */ args) => {
    const result = await next(args)
    const chunks = []
    for await (const chunk of result.response.body) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    result.response.body = new Uint8Array(body)
    const { statusCode: status, headers } = result.response
    kept = { status, text: body.toString('utf8'), date: headers.date }
    return result
  }
  command.middlewareStack.addRelativeTo(keepBody, { relation: 'after', toMiddleware: 'deserializerMiddleware' })
  try {
    const output = /** @type {any} */ (await client.send(command, { abortSignal: AbortSignal.timeout(DEADLINE_MS) }))
    const { status, text, date } = /** @type {NonNullable<typeof kept>} */ (kept)
    return { status, text, date, message: '', output, requestId: output.$metadata.requestId }
  } catch (thrown) {
    const error = /** @type {any} */ (thrown)
    // Without an answer there is nothing to judge: the run ends.
    if (kept === undefined) throw new NoAnswer(`${operation}: no answer (${error.message})`)
    return { ...kept, code: error.name, message: error.message, output: {}, requestId: error.$metadata?.requestId }
  }
}

/** The names of all secrets below a prefix, also of those that are marked for deletion. @param {sdk.SecretsManagerClient} client @param {string} prefix */
async function listedBelow(client, prefix) {
  const names = []
  let NextToken
  for (let page = 0; page < 20; page++) {
    const Filters = [{ Key: 'name', Values: [prefix] }]
    const { output } = await send(client, 'ListSecrets', { Filters, IncludePlannedDeletion: true, NextToken })
    for (const { Name } of output.SecretList ?? []) if (Name?.startsWith(prefix)) names.push(Name)
    NextToken = output.NextToken
    if (!NextToken) break
  }
  return names
}

/** Removes a secret. Returns false where it is still there. @param {sdk.SecretsManagerClient} client @param {string} SecretId */
async function removed(client, SecretId) {
  for (let attempt = 1; attempt <= REMOVALS; attempt++) {
    const { code } = await send(client, 'DeleteSecret', { SecretId, ForceDeleteWithoutRecovery: true })
    if (code === undefined || code === 'ResourceNotFoundException') return true
    // Names that AWS refused to create are refused here too.
    const described = await send(client, 'DescribeSecret', { SecretId })
    if (described.code !== undefined && !WHO_KNOWS.includes(described.code)) return true
    if (code === 'AccessDeniedException') await send(client, 'DeleteResourcePolicy', { SecretId })
    // Where a secret that is marked for deletion cannot be removed.
    if (code === 'InvalidRequestException') await send(client, 'RestoreSecret', { SecretId })
    // A replica may still be on its way out.
    await delay(300 * attempt)
  }
  return false
}

/** Whether this is the prefix of a run. @param {string} prefix */
const isPrefix = (prefix) => prefix.startsWith(NAME_SPACE) && /^[0-9a-f]{12}\/$/.test(prefix.slice(NAME_SPACE.length))

module.exports = { World, isPrefix }
