'use strict'

// A clock that is minutes off: AWS refuses what was signed with it, which is no denial.

const http = require('node:http')
const { SecretDelivery } = require('../..')
const { Listening } = require('../support/servers/tls')
const { withVariables } = require('../support/with-variables')

/** @type {SecretDelivery[]} */
const open = []
/** @type {{ stop(): unknown }[]} */
const running = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((delivery) => delivery.close()))
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

/** Refuses what is signed more than five minutes off its own clock, as AWS does. */
async function offBy(seconds, code, answers = {}) {
  const server = await Listening.start(
    http.createServer((request, answer) => {
      const now = Date.now() + seconds * 1000
      const [, year, month, day, hour, minute, second] =
        /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers['x-amz-date'])) ?? []
      const signed = Date.UTC(+year, +month - 1, +day, +hour, +minute, +second)
      const tells = (status, content) =>
        answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content))
      answer.sendDate = false
      answer.setHeader('date', new Date(now).toUTCString())
      answers.asked = (answers.asked ?? 0) + 1
      if (answers.denies || Math.abs(signed - now) > 300_000) return tells(400, { __type: code })
      tells(200, {
        ARN: 'arn:aws:secretsmanager:eu-central-1:1:secret:A_B_production-AbCdEf',
        Name: 'A_B_production',
        SecretString: 'value',
        VersionId: 'v'.repeat(32),
      })
    }),
  )
  running.push(server)
  return `http://127.0.0.1:${server.port}`
}

function asking(endpoint) {
  const aws = {
    region: 'eu-central-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    endpoint,
    maxAttempts: 1,
  }
  const delivery = new SecretDelivery({
    environment: 'production',
    compliance: false,
    audit: false,
    alerts: false,
    cache: false,
    aws,
  })
  open.push(delivery)
  return delivery
}
const read = (delivery) => delivery.getSecret('A_B').catch((error) => error)

test.each([
  [600, 'InvalidSignatureException'],
  [-600, 'SignatureDoesNotMatch'],
  [600, 'AccessDeniedException'],
  [-86_400, 'RequestExpired'],
])('by %d s (%s) costs one more attempt, and is no denial', async (seconds, code) => {
  const answers = {}
  const delivery = asking(await offBy(seconds, code, answers))
  expect(await read(delivery)).toBe('value')
  expect(answers.asked).toBe(2)
  expect(await read(delivery)).toBe('value')
  expect(answers.asked).toBe(3)
})

test('where nothing corrects the clock, a denial for its sake is none, and costs no copy', async () => {
  const answers = {}
  const endpoint = await offBy(600, 'AccessDeniedException', answers)
  const delivery = withVariables({ AWS_DISABLE_CLOCK_SKEW_CORRECTION: 'true' }, () => asking(endpoint))
  expect(await read(delivery)).toMatchObject({
    code: 'SOURCE_UNAVAILABLE',
    message: expect.stringMatching(/clock that is minutes off/),
  })
})

test('a denial with the right clock is one, also where this machine is off', async () => {
  const answers = { denies: true }
  const error = await read(asking(await offBy(600, 'AccessDeniedException', answers)))
  expect(error.code).toBe('SECRET_ACCESS_DENIED')
  expect(answers.asked).toBe(2)
})
