'use strict'

// A service in an image without certificates (`node:*-slim`, distroless), behind a company's proxy, with its root certificate: by
// the variables that docs/network.md names, in a process with a file system of its own.

const fs = require('node:fs')
const path = require('node:path')
const { contained, inContainer, installed } = require('../support/contained')
const { read } = require('../support/pages')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')
const { Proxy, authority, inFrontOf, issued } = require('../support/servers/tls')

const inside = inContainer()
const HOST = 'secretsmanager.eu-central-1.amazonaws.com'
const KEYS = {
  NODE_ENV: 'production',
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
}

let aws, front, proxy, app
beforeAll(async () => {
  app = installed()
  const [endpoint, company] = await Promise.all([AwsEndpoint.start(), authority()])
  aws = endpoint
  await aws.put({ A_B_production: 'value' })
  front = await inFrontOf(aws.url, await issued(company, { host: HOST }))
  proxy = await Proxy.start(front.port)
  fs.writeFileSync(path.join(app, 'root.pem'), company.cert)
  fs.writeFileSync(
    path.join(app, 'read.js'),
    `const { SecretDelivery } = require('tcs-secret-delivery')
     const say = (told) => console.log(JSON.stringify(told))
     const delivery = new SecretDelivery({ audit: false, compliance: false, logger: { warn: (message) => say({ warning: message }) } })
     delivery.getSecret('A_B').then((value) => say({ value }), say).finally(() => delivery.close())`,
  )
})
afterAll(async () => {
  await Promise.all([aws?.stop(), front?.stop(), proxy?.stop()])
  fs.rmSync(app, { recursive: true })
})

/** What the service says. @param {Record<string, string>} env */
async function said(env) {
  const { stdout, stderr } = await contained({ app, args: ['/app/read.js'], env: { ...KEYS, ...env } }).ended
  expect(stderr).not.toContain('panicked')
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

inside('gets its secret with the three variables of the page', async () => {
  for (const variable of ['HTTPS_PROXY', 'NO_PROXY', 'NODE_EXTRA_CA_CERTS']) {
    expect(read('docs', 'network.md')).toContain(`export ${variable}=`)
  }
  const env = {
    HTTPS_PROXY: proxy.url('user:password@'),
    NO_PROXY: 'localhost,.corp',
    NODE_EXTRA_CA_CERTS: '/app/root.pem',
  }
  expect(await said(env)).toEqual([{ value: 'value' }])
  expect(proxy.asked).toEqual([`${HOST}:443`])
})

inside("without the company's certificate the roots inside refuse it, and say so", async () => {
  const [error] = await said({ HTTPS_PROXY: proxy.url() })
  expect(error).toMatchObject({ code: 'SOURCE_UNAVAILABLE', cause: { code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' } })
  expect(error.message).toContain(
    `${HOST}:443 through the proxy 127.0.0.1:${proxy.listening.port} (HTTPS_PROXY) cannot be reached`,
  )
})
