'use strict'

// Which certificates are trusted, for AWS and for Redis: bundles that options, variables and profiles name.

const fs = require('node:fs')
const path = require('node:path')
const { overTls, read } = require('../support/over-tls')
const { RedisServer } = require('../support/servers/redis')
const { freePort } = require('../support/servers/server')
const { authority, inFrontOf, issued } = require('../support/servers/tls')
const { until } = require('../support/until')

const world = overTls()

let aws, front, company, other
/** @type {string} */
let directory

const file = (name) => path.join(directory, name)
const write = (name, content) => (fs.writeFileSync(file(name), content), file(name))

/** A directory with one certificate, under both of its names, and something else. */
function directoryOf(name, content) {
  fs.mkdirSync(file(name), { recursive: true })
  for (const entry of ['company.pem', 'abcdef01.0']) write(path.join(name, entry), content)
  write(path.join(name, 'README'), 'no certificate')
  return file(name)
}

beforeAll(async () => {
  ;({ aws, front, company, home: directory } = world)
  other = await authority('Another root')
  write('company.pem', company.cert)
  write('other.pem', other.cert)
  write('config', `[default]\nca_bundle = ${file('company.pem')}\n`)
  fs.mkdirSync(file('directory'))
})

const deliver = (variables = {}, options = {}, awsOptions = {}) => world.deliver(variables, awsOptions, options)

describe('AWS', () => {
  test('a certificate of a company is not trusted by itself', async () => {
    const error = await read(deliver())
    expect(error).toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      cause: { code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', host: 'localhost', port: front.port },
    })
    expect(error.message).toMatch(/localhost:\d+ cannot be reached: its TLS certificate is not trusted/)
    expect(error.message).toContain('AWS_CA_BUNDLE')
    expect(error.message).toContain("Mozilla's and the system's")
  })

  test.each([
    ['aws.ca, as text', () => [{}, { ca: company.cert }]],
    ['aws.ca, as a path', () => [{}, { ca: file('company.pem') }]],
    ['AWS_CA_BUNDLE', () => [{ AWS_CA_BUNDLE: file('company.pem') }]],
    ['ca_bundle of the profile', () => [{ AWS_CONFIG_FILE: file('config') }]],
    ['SSL_CERT_FILE', () => [{ SSL_CERT_FILE: file('company.pem') }]],
    ['NODE_EXTRA_CA_CERTS', () => [{ NODE_EXTRA_CA_CERTS: file('company.pem') }]],
    ['SSL_CERT_DIR', () => [{ SSL_CERT_DIR: `${file('nothing')}:${directoryOf('certs', company.cert)}` }]],
    [
      'the label of old',
      () => [{ AWS_CA_BUNDLE: write('old.pem', company.cert.replaceAll(' CERTIFICATE', ' X509 CERTIFICATE')) }],
    ],
    [
      'NODE_EXTRA_CA_CERTS beside AWS_CA_BUNDLE',
      () => [{ NODE_EXTRA_CA_CERTS: file('company.pem'), AWS_CA_BUNDLE: file('other.pem') }],
    ],
    ['an empty variable before it', () => [{ AWS_CA_BUNDLE: '', SSL_CERT_FILE: file('company.pem') }]],
    [
      'DER',
      () => [
        { AWS_CA_BUNDLE: write('company.der', Buffer.from(company.cert.replace(/-----.*-----|\s/g, ''), 'base64')) },
      ],
    ],
  ])('%s', async (_, given) => {
    const [variables, options] = given()
    expect(await read(deliver(variables, {}, options))).toBe('value')
    expect(world.warnings).toEqual([])
  })

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 is not followed, and the message says so', async () => {
    const error = await read(deliver({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }))
    expect(error.message).toContain("system's certificates; NODE_TLS_REJECT_UNAUTHORIZED=0 is not followed)")
  })

  test("an authority's certificate that a server shows as its own is told from an unknown one", async () => {
    const both = await authority('localhost')
    const own = await inFrontOf(aws.url, both)
    try {
      const endpoint = `https://localhost:${own.port}`
      const error = await read(deliver({ NODE_EXTRA_CA_CERTS: write('both.pem', both.cert) }, {}, { endpoint }))
      expect(error.message).toContain('made as an authority')
      expect(error.message).not.toContain('trusted now')
    } finally {
      await own.stop()
    }
  })

  test.each([
    ['AWS_CA_BUNDLE', 'SSL_CERT_FILE'],
    ['AWS_CA_BUNDLE', 'AWS_CONFIG_FILE'],
  ])('%s is instead of %s', async (first, second) => {
    const variables = {
      [first]: file('other.pem'),
      [second]: file(second === 'AWS_CONFIG_FILE' ? 'config' : 'company.pem'),
    }
    const error = await read(deliver(variables))
    expect(error.message).toContain(`trusted now: AWS_CA_BUNDLE (${file('other.pem')})`)
  })

  const block = (text) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`
  test.each([
    ['missing', () => file('nothing.pem'), 'there is no such file'],
    ['empty', () => write('empty.pem', ''), 'it is empty'],
    ['blank', () => write('blank.pem', ' \n\n'), 'it is empty'],
    ['garbage', () => write('garbage.pem', 'garbage'), 'it has no certificate'],
    ['a directory', () => file('directory'), 'it is a directory'],
    ['1 MiB of nothing', () => write('big.pem', Buffer.alloc(1 << 20)), 'it has no certificate'],
    ['a key', () => write('key.pem', company.key), 'it has no certificate (but other things in PEM form)'],
    ['a certificate that is none', () => write('none.pem', block('AAAAAA==')), 'none of its certificates can be read'],
    ['a path that is none', () => '\u001b[31m/\n', 'there is no such file'],
  ])('a bundle that is %s costs one warning, and the next one counts', async (_, bundle, why) => {
    const named = bundle()
    const delivery = deliver({ AWS_CA_BUNDLE: named, SSL_CERT_FILE: file('company.pem') })
    expect([await read(delivery), await delivery.refresh('A_B')]).toEqual(['value', 'value'])
    expect((await delivery.health()).checks.aws).toEqual({ status: 'ok', reason: null })
    expect(world.warnings).toEqual([expect.stringMatching(/^CERTIFICATES_UNUSABLE: AWS_CA_BUNDLE \(/)])
    expect(world.warnings[0]).toContain(why)
    expect(world.warnings[0]).not.toMatch(/[\u0000-\u001f]/)
    if (fs.existsSync(named)) expect(world.warnings[0]).toContain(named)
  })

  test.each([
    ['before', (bad) => bad + company.cert],
    ['behind', (bad) => company.cert + bad],
  ])('a bad certificate %s a good one is left out, with one warning', async (_, bundle) => {
    for (const bad of [block('AAAAAA=='), block('!!! no base64 !!!'), '-----BEGIN CERTIFICATE-----\n']) {
      world.warnings = []
      const named = write('mixed.pem', bundle(bad))
      expect(await read(deliver({ AWS_CA_BUNDLE: named }))).toBe('value')
      expect(world.warnings).toEqual([
        expect.stringContaining(`AWS_CA_BUNDLE (${named}): 1 of its entries cannot be read`),
      ])
    }
  })

  test('an extra bundle that cannot be used takes nothing away', async () => {
    const variables = { NODE_EXTRA_CA_CERTS: file('nothing.pem'), AWS_CA_BUNDLE: file('company.pem') }
    expect(await read(deliver(variables))).toBe('value')
    expect(world.warnings).toEqual([expect.stringContaining('CERTIFICATES_UNUSABLE: NODE_EXTRA_CA_CERTS (')])
  })
})

describe('Redis', () => {
  let redis, port
  beforeAll(async () => {
    const { key, cert } = await issued(company)
    port = await freePort()
    const files = ['--tls-cert-file', write('redis.pem', cert), '--tls-key-file', write('redis.key', key)]
    redis = await RedisServer.start({ args: ['--tls-port', String(port), ...files, '--tls-auth-clients', 'no'] })
  })
  afterAll(() => redis.stop())

  const cached = (variables, tls) => {
    const encryptionKeys = [{ id: 'k1', key: Buffer.alloc(32, 1).toString('base64') }]
    const cache = { redis: { url: `rediss://localhost:${port}`, ...(tls && { tls }) }, encryptionKeys }
    return deliver({ AWS_CA_BUNDLE: file('company.pem'), ...variables }, { cache })
  }
  const state = async (delivery) => (await delivery.health()).checks.redis
  /** A busy machine may not keep Redis's deadline at the first try. */
  const works = (delivery) => until('Redis answers', async () => (await state(delivery)).status === 'ok')

  test.each([
    ['NODE_EXTRA_CA_CERTS', () => [{ NODE_EXTRA_CA_CERTS: file('company.pem') }]],
    ['SSL_CERT_DIR', () => [{ SSL_CERT_DIR: `${file('nothing')}:${directoryOf('certs', company.cert)}` }]],
    ['SSL_CERT_FILE', () => [{ SSL_CERT_FILE: file('company.pem') }]],
    ['cache.redis.tls.ca, as text', () => [{}, { ca: company.cert }]],
    ['cache.redis.tls.ca, as a path', () => [{}, { ca: file('company.pem') }]],
  ])('%s', async (_, given) => {
    const [variables, tls] = given()
    await works(cached(variables, tls))
    expect(world.warnings).toEqual([])
  })

  test('AWS_CA_BUNDLE is for AWS alone, and cache.redis.tls.ca is instead of all others', async () => {
    for (const delivery of [cached({}), cached({ NODE_EXTRA_CA_CERTS: file('company.pem') }, { ca: other.cert })]) {
      const { status, reason } = await state(delivery)
      expect(status).toBe('down')
      expect(reason).toMatch(
        /^Redis is not available: localhost:\d+: its TLS certificate is not trusted.*cache\.redis\.tls\.ca/,
      )
      expect(await read(delivery)).toBe('value')
    }
  })

  test('without a usable certificate nothing else is trusted in its place, and reads go on', async () => {
    const delivery = cached({ NODE_EXTRA_CA_CERTS: file('company.pem') }, { ca: file('nothing.pem') })
    expect(await state(delivery)).toEqual({ status: 'down', reason: expect.stringContaining('there is no such file') })
    expect(await read(delivery)).toBe('value')
    expect(world.warnings).toEqual([expect.stringContaining('CERTIFICATES_UNUSABLE: options.cache.redis.tls.ca (')])
  })
})
