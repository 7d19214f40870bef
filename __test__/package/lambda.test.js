'use strict'

// What docs/lambda.md says: its handler in a process that runs only while an invocation is answered, stopped and continued in
// every rhythm; and in Lambda's file system.

const { randomBytes } = require('node:crypto')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { contained, inContainer, installed } = require('../support/contained')
const { root } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

const onLinux = process.platform === 'linux' ? test : test.skip
const TTL_MS = 1_000

/** @type {AwsEndpoint} */
let aws
/** @type {string} */
let app
/** @type {Record<string, string>} */
let env
beforeAll(async () => {
  aws = await AwsEndpoint.start()
  app = installed()
  env = {
    NODE_ENV: 'production',
    TCS_AUDIT_LOG: 'stdout',
    // Without it production says so, once.
    TCS_AUDIT_KEY: randomBytes(32).toString('base64'),
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL: aws.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_SESSION_TOKEN: 'test',
    AWS_LAMBDA_FUNCTION_NAME: 'shop',
  }
  const page = fs.readFileSync(path.join(root, 'docs', 'lambda.md'), 'utf8')
  const shown = /```js\n\/\/ handler\.mjs\n([^]*?)```/.exec(page)?.[1] ?? ''
  expect(shown).toContain('export async function handler')
  // The tests see the value, and need not wait five minutes.
  const seen = shown
    .replace('new SecretDelivery()', `new SecretDelivery({ cache: { ttlSeconds: ${TTL_MS / 1000} } })`)
    .replace(/body: .* }/, 'body: token }')
  expect(seen).not.toBe(shown)
  fs.writeFileSync(path.join(app, 'shown.mjs'), shown)
  fs.writeFileSync(path.join(app, 'seen.mjs'), seen)
  // What Lambda's runtime does: one invocation after the other.
  fs.writeFileSync(
    path.join(app, 'runtime.mjs'),
    `import readline from 'node:readline'
     const { handler } = await import(process.env.HANDLER)
     const answer = (text) => process.stderr.write(text + '\\n')
     answer('{"ready":true}')
     for await (const line of readline.createInterface({ input: process.stdin })) {
       const begun = performance.now()
       await handler(JSON.parse(line)).then(
         (result) => answer(JSON.stringify({ ...result, ms: performance.now() - begun })),
         ({ code, message }) => answer(JSON.stringify({ code, message })),
       )
     }`,
  )
})
beforeEach(async () => {
  await aws.reset()
  await aws.put({ GITHUB_API_TOKEN_production: 'value-0' })
})
afterAll(async () => {
  await aws?.stop()
  fs.rmSync(app, { recursive: true })
})

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** An environment of Lambda: the process is stopped except while it answers, and `graceMs` longer. */
class Environment {
  constructor() {
    this.child = spawn(process.execPath, [path.join(app, 'runtime.mjs')], {
      cwd: app,
      env: { ...env, HANDLER: path.join(app, 'seen.mjs') },
    })
    this.printed = ''
    this.child.stdout.on('data', (chunk) => (this.printed += chunk))
    const lines = readline.createInterface({ input: this.child.stderr })[Symbol.asyncIterator]()
    this.next = async () => JSON.parse((await lines.next()).value)
  }

  /** @param {number} graceMs */
  async invoke(graceMs) {
    this.child.kill('SIGCONT')
    this.child.stdin.write('{}\n')
    const answer = await this.next()
    await pause(graceMs)
    this.child.kill('SIGSTOP')
    return answer
  }

  async end() {
    this.child.kill('SIGCONT')
    this.child.stdin.end()
    const [status] = await require('node:events').once(this.child, 'close')
    return status
  }
}

onLinux(
  'stopped after each answer in every rhythm: no invocation fails, is slow, or gets a value that is older than the TTL',
  async () => {
    /** When each value became live and ceased to be. @type {{ value: string, until: number }[]} */
    const history = [{ value: 'value-0', until: Infinity }]
    const rotate = async () => {
      const value = `value-${history.length}`
      await aws.put({ GITHUB_API_TOKEN_production: value })
      const last = history.at(-1)
      if (last !== undefined) last.until = Date.now()
      history.push({ value, until: Infinity })
    }
    const environments = [new Environment(), new Environment(), new Environment()]
    let state = 11
    const random = (/** @type {number} */ below) =>
      (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below
    await Promise.all(environments.map(({ next }) => next()))
    const rotating = setInterval(() => void rotate(), 700)
    try {
      const wrong = await Promise.all(
        environments.map(async (environment) => {
          /** @type {unknown[]} */
          const found = []
          for (let i = 0; i < 25; i++) {
            const begun = Date.now()
            const answer = await environment.invoke(random(3) === 0 ? 0 : random(40))
            const until = history.find(({ value }) => value === answer.body)?.until ?? 0
            if (until < begun - TTL_MS - 300 || !(answer.ms < 2_000)) found.push({ answer, late: begun - until })
            await pause([0, 5, 50, 400, TTL_MS + 100][random(5)] ?? 0)
          }
          return found
        }),
      )
      expect(wrong).toEqual([[], [], []])
    } finally {
      clearInterval(rotating)
    }
    for (const environment of environments) {
      expect(await environment.end()).toBe(0)
      const events = environment.printed
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(events.filter(({ event, outcome }) => event === 'access' && outcome === 'ok').length).toBeGreaterThan(5)
    }
  },
)

onLinux('stopped while AWS is asked: the invocation has its answer after the thaw', async () => {
  const environment = new Environment()
  await environment.next()
  await aws.fault({ action: { delayMs: 300 }, times: 1 })
  environment.child.stdin.write('{}\n')
  await pause(100)
  environment.child.kill('SIGSTOP')
  await pause(2_500)
  environment.child.kill('SIGCONT')
  const answer = await environment.next()
  expect(answer).toMatchObject({ body: 'value-0' })
  expect(await environment.end()).toBe(0)
})

inContainer()("in Lambda's file system: /tmp can be written to, nothing else, and there is no HOME", async () => {
  const { child, outcome, ended } = contained({
    app,
    args: ['--max-old-space-size=96', '/app/runtime.mjs'],
    env: { ...env, HANDLER: '/app/shown.mjs' },
    writable: ['/tmp'],
  })
  child.stdin.end('{}\n{}\n')
  expect((await ended).status).toBe(0)
  const answers = outcome.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(answers.map(({ body }) => body)).toEqual([undefined, 'there is a token', 'there is a token'])
  expect(outcome.stdout).toContain('"event":"access"')
})
