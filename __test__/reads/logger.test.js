'use strict'

// What a logger may do wrong, and which methods of the usual ones are called. A read never notices.

const { execFileSync } = require('node:child_process')
const { safeLogger } = require('../../lib/logger')
const { root } = require('../support/files')
const { OUTAGE, overRedis } = require('../support/services')

const world = overRedis({ A_B_production: 'value' })

/** Warnings of the process while `run` runs. */
async function warningsDuring(run) {
  // Jest has a `process` of its own, at which warnings do not arrive.
  const emit = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  try {
    await run()
    await new Promise((resolve) => setTimeout(resolve, 20))
    return emit.mock.calls.map(([message, options]) => [/** @type {any} */ (options).code, message])
  } finally {
    emit.mockRestore()
  }
}

const boom = () => {
  throw new TypeError('hunter2')
}
/** Works until it has been checked, and then fails. */
function failing(fail) {
  let isChecked = false
  setImmediate(() => (isChecked = true))
  return fail(() => isChecked)
}

describe('reads settle, and warnings reach the process, with a logger', () => {
  /** @type {[string, () => any][]} */
  const loggers = [
    ['whose methods throw', () => ({ warn: boom, info: boom, debug: boom })],
    ['whose methods reject', () => ({ warn: async () => boom(), info: async () => boom(), debug: async () => boom() })],
    [
      'whose methods throw what is no error',
      () => ({
        warn: () => {
          throw undefined
        },
        info() {},
        debug() {},
      }),
    ], // eslint-disable-line no-throw-literal
    [
      'whose answer cannot be looked at',
      () => ({
        warn: () => ({
          get then() {
            return boom()
          },
        }),
        info() {},
        debug() {},
      }),
    ],
    [
      'whose methods cannot be got later',
      () =>
        failing((isChecked) => ({
          get warn() {
            return isChecked() ? boom() : () => {}
          },
          get info() {
            return boom()
          },
          get debug() {
            return boom()
          },
        })),
    ],
    [
      'that is a proxy, which is revoked',
      () => {
        const { proxy, revoke } = Proxy.revocable({ warn() {}, info() {}, debug() {} }, {})
        setImmediate(revoke)
        return proxy
      },
    ],
    [
      'whose level cannot be read',
      () => ({
        get level() {
          return boom()
        },
        warn: boom,
      }),
    ],
  ]
  test.each(loggers)('%s', async (_, make) => {
    await world.aws.reset()
    await world.aws.put({ A_B_production: 'value' })
    const warnings = await warningsDuring(async () => {
      const delivery = world.deliver({ ttlSeconds: 1, redis: false }, { logger: make(), logLevel: 'debug' })
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await delivery.getSecret('A_B')).toBe('value')
      await world.aws.fault(OUTAGE)
      const reads = await Promise.allSettled(
        Array.from({ length: 50 }, (_unused, index) => delivery.getSecret(`A_${index}`)),
      )
      expect(reads.every(({ status }) => status === 'rejected')).toBe(true)
      expect(await delivery.getSecret('A_B')).toBe('value')
      // A warning of the delivery itself: a rotation that cannot be.
      await delivery.rotation.rotate('A_B')
    })
    expect(warnings.filter(([code]) => code === 'LOGGER_FAILED')).toHaveLength(1)
    expect(JSON.stringify(warnings)).not.toContain('hunter2')
  })
})

describe('a warning that the logger does not take', () => {
  test('goes to process.emitWarning with its code, and the failure is said once', async () => {
    const logger = safeLogger({ warn: boom })
    const warnings = await warningsDuring(() => {
      logger?.warn('ALERT: retrieval-latency is firing')
      logger?.warn('ALERT: retrieval-latency is resolved')
      logger?.info('not for this logger')
    })
    expect(warnings).toEqual([
      ['ALERT', 'ALERT: retrieval-latency is firing'],
      ['LOGGER_FAILED', 'the method warn of options.logger failed (TypeError); its messages are lost'],
      ['ALERT', 'ALERT: retrieval-latency is resolved'],
    ])
  })
})

describe('which method is called', () => {
  const recorder = (...names) => {
    const called = []
    const logger = Object.fromEntries(
      names.map((name) => [
        name,
        function (message) {
          called.push([name, message, this === logger])
        },
      ]),
    )
    return { logger, called }
  }
  test.each([
    [
      'pino, winston, console',
      ['warn', 'info', 'debug', 'log'],
      [
        ['warn', 'a', true],
        ['info', 'b', true],
        ['debug', 'c', true],
      ],
    ],
    [
      'Nest, which has no info',
      ['log', 'warn', 'debug', 'error', 'verbose'],
      [
        ['warn', 'a', true],
        ['log', 'b', true],
        ['debug', 'c', true],
      ],
    ],
    ['one that only warns', ['warn'], [['warn', 'a', true]]],
  ])('of %s', (_, names, expected) => {
    const { logger, called } = recorder(...names)
    const safe = safeLogger(logger)
    safe?.warn('a')
    safe?.info('b')
    safe?.debug('c')
    expect(called).toEqual(expected)
  })

  test("of Nest's own Logger", () => {
    // It is an ES module, which Jest cannot load on every Node.js.
    const script = `
      import { Logger } from '@nestjs/common'
      import library from './lib/logger.js'
      const safe = library.safeLogger(new Logger('Secrets'))
      safe.warn('a')
      safe.info('b')
      safe.debug('c')`
    const env = { PATH: process.env.PATH, NO_COLOR: '1' }
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: root,
      encoding: 'utf8',
      env,
    })
    const lines = printed.trim().split('\n')
    expect(lines.map((line) => line.replace(/^.*(?=WARN|LOG|DEBUG)/, ''))).toEqual([
      'WARN [Secrets] a',
      'LOG [Secrets] b',
      'DEBUG [Secrets] c',
    ])
  })

  test.each([
    [{ warn() {}, level: 'silly' }, 'debug'],
    [{ warn() {}, level: 'info' }, 'info'],
    [{ warn() {}, level: 'fatal' }, 'warn'],
    [{ warn() {}, level: () => 20 }, 'warn'],
    [{ warn() {} }, 'warn'],
  ])('the level of %j is %s', (logger, level) => {
    expect(safeLogger(logger)?.level).toBe(level)
  })

  test.each([
    ['an object without methods', () => ({})],
    ['one whose warn is no function', () => ({ warn: 1 })],
    ['one whose warn cannot be got', () => Object.defineProperty({}, 'warn', { get: boom })],
  ])('%s is no logger', (_, make) => {
    expect(() => safeLogger(make())).toThrow('options.logger must have a warn(message) method')
  })
})
