'use strict'

// Reads by callers in a bad state: a full stack, stack traces that a library breaks. Every read settles, and so do those beside it.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { SecretError } = require('../..')
const { root, temporaryDirectory } = require('../support/files')

const library = JSON.stringify(root)

/** What a script prints, as lines. It has `deliver(variables)`, and `settled(read)`: how a read ends within a few seconds. */
function script(text, cwd = root) {
  const source = `
    const { SecretDelivery } = require(${library})
    const deliver = (variables) => new SecretDelivery({
      environment: 'development', audit: false, compliance: false, monitoring: false, alerts: false, logger: { warn() {} },
      aws: { region: 'eu-central-1', endpoint: 'http://127.0.0.1:1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, maxAttempts: 1 },
      runtime: { variables, secretDirectories: [] },
    })
    const settled = (read) => Promise.race([
      read.then((value) => value, ({ name, code }) => code ?? name),
      new Promise((resolve) => setTimeout(resolve, 8000, 'pending')),
    ])
    ;(async () => { ${text} })().then(() => process.exit())`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', source], {
    cwd,
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { lines: stdout.trim().split('\n'), stderr, status }
}

test('a read that finds the stack full is rejected or answered, and later ones go on', () => {
  // Each frame of a margin of forty below a full stack, where the read may break off at any of its steps.
  const { lines, status } = script(`
    const seen = []
    for (let margin = 1; margin <= 40; margin++) {
      const delivery = deliver({ A_B: 'value' })
      await delivery.getSecret('OTHER').catch(() => {})
      let left = margin
      let read
      const go = () => {
        try { go() } catch (error) { if (--left === 0) read = delivery.getSecret('A_B'); else throw error }
      }
      try { go() } catch (error) { read ??= Promise.reject(error) }
      seen.push(await settled(read), await settled(delivery.getSecret('A_B')))
    }
    console.log(JSON.stringify(seen))`)
  const seen = /** @type {string[]} */ (JSON.parse(lines[0]))
  expect(status).toBe(0)
  expect(seen.filter((_, at) => at % 2 === 1)).toEqual(Array(40).fill('value'))
  expect(new Set(seen.filter((_, at) => at % 2 === 0))).toEqual(new Set(['RangeError', 'value']))
})

test.each([
  ['Error.prepareStackTrace throws', 'Error.prepareStackTrace = () => { throw new TypeError("a broken source map") }'],
  ['Error.prepareStackTrace gives nothing', 'Error.prepareStackTrace = () => undefined'],
  ['Error.captureStackTrace is not there', 'Error.captureStackTrace = undefined'],
  ['Error is frozen', 'Object.freeze(Error)'],
])('%s: a failed read is rejected, and the one beside it answered', (_, setting) => {
  const { lines, stderr } = script(`
    ${setting}
    const delivery = deliver({ GOOD_ONE: 'value' })
    console.log(JSON.stringify(await Promise.all(['BAD_ONE', 'GOOD_ONE', 'BAD_TWO'].map((name) => settled(delivery.getSecret(name))))))`)
  expect(lines).toEqual([JSON.stringify(['SOURCE_UNAVAILABLE', 'value', 'SOURCE_UNAVAILABLE'])])
  expect(stderr).toBe('')
})

test('what others add to every object is refused as an option, and is no variable', () => {
  const { lines } = script(`
    for (const added of [1, true, 'text', {}]) {
      Object.prototype.added = added
      let code
      try { deliver({ A_B: 'value' }) } catch (error) { code = error.code }
      delete Object.prototype.added
      console.log(code)
    }`)
  expect(lines).toEqual(Array(4).fill('CONFIG_INVALID'))
})

test('the name of an error can be changed, and is not listed', () => {
  const error = new SecretError('CLOSED', 'closed')
  expect([error.name, Object.keys(error), String(error)]).toEqual(['SecretError', ['code'], 'SecretError: closed'])
  error.name = 'Other'
  expect([error.name, new SecretError('CLOSED', 'closed').name]).toEqual(['Other', 'SecretError'])
})

test('a working directory that was removed hinders nothing that does not need it', () => {
  const directory = path.join(temporaryDirectory(), 'gone')
  fs.mkdirSync(directory)
  const { lines, stderr } = script(
    `
    require('node:fs').rmdirSync(${JSON.stringify(directory)})
    console.log(await settled(deliver({ A_B: 'value' }).getSecret('A_B')))`,
    directory,
  )
  expect([lines, stderr]).toEqual([['value'], ''])
})
