'use strict'

// docs/start.md, followed word for word in an empty folder: its files are written, its commands are run, and what it says
// they print is what they print. Three things are not as on the page: packages are linked instead of installed, AWS is
// the in-repo endpoint, and the service listens on a free port.

const { CreateSecretCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { addonVariable } = require('../support/addon')
const { temporaryDirectory } = require('../support/files')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Server, freePort } = require('../support/servers/server')
const { read, root } = require('../support/pages')

const PAGE_PORT = 'http://localhost:3000'
const PAGE_ENDPOINT = 'http://localhost:4566'
const PROGRAMS = {
  tsc: path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
  'tcs-secrets': path.join(root, 'cli', 'index.js'),
}

/** Blocks of code in order. `file`: the block is the contents of this file. */
const blocks = [...read('docs', 'start.md').matchAll(/(?:^`([\w.-]+)`:\n\n)?^```(\w+)\n([^]*?)^```$/gm)].map(
  ([, file, language, text]) => ({ file, language, text }),
)

/** A folder in which the page is followed. */
class Reader {
  constructor(/** @type {AwsEndpoint} */ aws, /** @type {number} */ port) {
    this.aws = aws
    this.url = `http://localhost:${port}`
    this.folder = temporaryDirectory('tcs-start-')
    /** Nothing of this process's environment: Jest sets NODE_ENV, and a developer may have AWS credentials. */
    this.env = {
      PATH: process.env.PATH,
      HOME: this.folder,
      USERPROFILE: this.folder,
      PORT: `${port}`,
      ...addonVariable(),
    }
    /** @type {Server | undefined} */
    this.service = undefined
  }

  /** Runs the commands of a block, one in each line. @returns What they printed. */
  async run(/** @type {string} */ text) {
    let printed = ''
    for (const line of text.trim().split('\n')) printed += await this.#command(line)
    return printed
  }

  /** Ends the service as Ctrl-C does. */
  async stop() {
    if (this.service === undefined) return
    this.service.signal('SIGINT')
    await this.service.ended
    const { exitCode, signalCode } = this.service.process
    const { output } = this.service
    this.service = undefined
    return { exitCode, signalCode, output }
  }

  async #command(/** @type {string} */ line) {
    const [, command, comment = ''] = /^(.*?)(?: +# (.*))?$/.exec(line)
    const [program, ...args] = command.split(' ')
    const expected = Number(/^exit code (\d+)/.exec(comment)?.[1] ?? 0)
    if (program === 'export') return this.#export(args)
    if (command.startsWith('npm install ')) return this.#link(args.filter((word) => !/^(install|-.*)$/.test(word)))
    if (command === 'node dist/main.js') return this.#start()
    if (command.startsWith('curl -s ')) return `${await this.#get(args[1].replace(PAGE_PORT, this.url))}\n`
    if (program === 'aws') return this.#createSecret(command)
    const { status, stdout, stderr } =
      program === 'npx'
        ? spawnSync(process.execPath, [PROGRAMS[args[0]], ...args.slice(1)], this.#options())
        : spawnSync(command, { ...this.#options(), shell: true })
    // One object, so that what a command printed is seen when it failed.
    if (status !== expected) expect({ command, status, stdout, stderr }).toEqual({ status: expected })
    return stdout
  }

  #options() {
    const { folder: cwd, env } = this
    return { cwd, env, encoding: /** @type {const} */ ('utf8'), timeout: 60_000 }
  }

  #export(/** @type {string[]} */ assignments) {
    for (const assignment of assignments) {
      const [, name, given] = /^(\w+)=(.*)$/.exec(assignment)
      const [, file] = /^\$\(<(.+)\)$/.exec(given) ?? []
      const value = file === undefined ? given : fs.readFileSync(path.join(this.folder, file), 'utf8').trim()
      this.env[name] = value === PAGE_ENDPOINT ? this.aws.url : value
    }
    return ''
  }

  #link(/** @type {string[]} */ packages) {
    for (const name of packages) {
      const target = name === 'tcs-secret-delivery' ? root : path.join(root, 'node_modules', name)
      // As npm would: from the package's own description.
      expect(JSON.parse(fs.readFileSync(path.join(target, 'package.json'), 'utf8')).name).toBe(name)
      const link = path.join(this.folder, 'node_modules', name)
      fs.mkdirSync(path.dirname(link), { recursive: true })
      fs.symlinkSync(target, link, 'junction')
    }
    return ''
  }

  async #start() {
    const ended = await this.stop()
    // The first version on the page does not listen for Ctrl-C; the others end by themselves.
    if (ended !== undefined && ended.signalCode === null) expect(ended).toMatchObject({ exitCode: 0 })
    this.service = new Server(process.execPath, ['dist/main.js'], {
      cwd: this.folder,
      env: { ...cleared(), ...this.env },
    })
    await this.service.ready(() => this.#get(this.url).then(Boolean, () => false))
    return ''
  }

  async #get(/** @type {string} */ url) {
    const answer = await fetch(url, { headers: { connection: 'close' } })
    expect(answer.status).toBe(200)
    return answer.text()
  }

  async #createSecret(/** @type {string} */ command) {
    const [, Name, , SecretString] = /^aws secretsmanager create-secret --name (\S+) --secret-string ('?)(\S+)\2$/.exec(
      command,
    )
    const client = new SecretsManagerClient(this.aws.options)
    await client.send(new CreateSecretCommand({ Name, SecretString }))
    client.destroy()
    return ''
  }
}

/** Unsets what a started server would inherit. */
const cleared = () => Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]))

/** @type {AwsEndpoint} */
let aws
/** @type {Reader} */
let reader
beforeAll(async () => {
  aws = await AwsEndpoint.start()
  reader = new Reader(aws, await freePort())
})
afterAll(async () => {
  await reader?.stop()
  await aws?.stop()
  if (reader !== undefined) fs.rmSync(reader.folder, { recursive: true, force: true })
})

test('docs/start.md gets from an empty folder to production', async () => {
  const written = []
  const compared = []
  let printed = ''
  // The first block shows one line of what follows.
  for (const { file, language, text } of blocks.slice(1)) {
    if (file !== undefined) {
      fs.writeFileSync(path.join(reader.folder, file), text, { mode: 0o600 })
      written.push(file)
    } else if (language === 'sh') {
      printed = await reader.run(text)
    } else {
      expect(language).toBe('text')
      expect(printed).toBe(text)
      compared.push(text)
    }
  }
  expect(written).toEqual([
    '.env.dev',
    'main.ts',
    'tsconfig.json',
    'tcs-secrets.config.json',
    'main.ts',
    'tcs-secrets.config.json',
  ])
  // What the last command of the page printed.
  expect(printed).toBe('a-password')
  expect(compared).toHaveLength(6)

  // What the page says of the files it leaves, and of how the service ends.
  const left = fs.readdirSync(reader.folder)
  expect(left).toContain('secret-audit.jsonl')
  expect(left.filter((name) => /^\.env\.dev\..*\.bak$/.test(name))).toHaveLength(1)
  expect(await aws.versions('GITHUB_API_TOKEN_development')).toMatchObject([{ value: 'a-development-token' }])
  expect(await reader.stop()).toEqual({ exitCode: 0, signalCode: null, output: '' })
}, 120_000)

test('the service of docs/start.md does not start without its secret, and says which', async () => {
  await aws.remove('GITHUB_API_TOKEN_production')
  const { status, stderr } = spawnSync(process.execPath, ['dist/main.js'], {
    cwd: reader.folder,
    env: reader.env,
    encoding: 'utf8',
    timeout: 60_000,
  })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^error: GITHUB_API_TOKEN: /m)
})

test('a misspelt secret type does not compile in the service of docs/start.md', () => {
  const main = path.join(reader.folder, 'main.ts')
  fs.writeFileSync(main, fs.readFileSync(main, 'utf8').replace("'api_token'", "'api_tokn'"))
  const { status, stdout } = spawnSync(process.execPath, [PROGRAMS.tsc], { cwd: reader.folder, encoding: 'utf8' })
  expect(status).not.toBe(0)
  expect(stdout).toContain('\'"api_tokn"\'')
})
