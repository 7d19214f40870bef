'use strict'

// The endpoint of these tests checks signatures where it knows the secret key: what this package sends is signed right, and a
// request that is signed wrong is refused.

const { GetSecretValueCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery } = require('../..')
const { AwsEndpoint } = require('../support/servers/aws-endpoint')

const KEY = 'AKIDEXAMPLE'
const ROLE = 'arn:aws:iam::111122223333:role/reader'

/** @type {AwsEndpoint} */
let aws
beforeAll(async () => {
  aws = await AwsEndpoint.start()
})
beforeEach(async () => {
  await aws.reset()
  await aws.secretKeys({ [KEY]: 'right' })
  await aws.put({ A_B_production: 'value', A_C_production: 'other' })
})
afterAll(() => aws.stop())

const credentials = (secretAccessKey) => ({ accessKeyId: KEY, secretAccessKey })
const deliver = (secret, options) =>
  new SecretDelivery({
    environment: 'production',
    audit: false,
    aws: { ...aws.options, credentials: credentials(secret), maxAttempts: 1, ...options },
  })

test('single reads, batches, writes and roles are signed right', async () => {
  const delivery = deliver('right')
  expect(await Promise.all(['A_B', 'A_C'].map((name) => delivery.getSecret(name)))).toEqual(['value', 'other'])
  await delivery.store.put('A_B', 'next')
  expect(await delivery.refresh('A_B')).toBe('next')
  await delivery.close()
  await aws.role(ROLE)
  await aws.putIn('111122223333', { A_B_production: 'theirs' })
  const role = deliver('right', { assumeRole: { roleArn: ROLE } })
  expect(await role.getSecret('A_B')).toBe('theirs')
  await role.close()
})

test('another secret key is refused, for Secrets Manager and for STS', async () => {
  for (const options of [{}, { assumeRole: { roleArn: ROLE } }]) {
    const delivery = deliver('wrong', options)
    await expect(delivery.getSecret('A_B')).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringMatching(/not accept/),
    })
    await delivery.close()
  }
})

test("a signature for another region, or another service, is refused, AWS's own client's as well", async () => {
  await aws.region('eu-west-1')
  const delivery = deliver('right')
  await expect(delivery.getSecret('A_B')).rejects.toMatchObject({
    message: expect.stringContaining('InvalidSignatureException'),
  })
  await delivery.close()
  await aws.reset()
  await aws.secretKeys({ [KEY]: 'right' })
  await aws.put({ A_B_production: 'value' })
  const read = (config) => {
    const client = new SecretsManagerClient({
      endpoint: aws.url,
      region: 'eu-central-1',
      credentials: credentials('right'),
      ...config,
    })
    return client.send(new GetSecretValueCommand({ SecretId: 'A_B_production' })).finally(() => client.destroy())
  }
  expect((await read({})).SecretString).toBe('value')
  await expect(read({ credentials: credentials('wrong') })).rejects.toMatchObject({ name: 'InvalidSignatureException' })
  const headers = { authorization: SIGNED_FOR_S3, 'x-amz-target': 'secretsmanager.GetSecretValue' }
  const answer = await fetch(aws.url, { method: 'POST', headers, body: '{"SecretId":"A_B_production"}' })
  expect([answer.status, (await answer.json()).Message]).toEqual([400, expect.stringContaining('correct service')])
})

const SIGNED_FOR_S3 =
  `AWS4-HMAC-SHA256 Credential=${KEY}/20260101/eu-central-1/s3/aws4_request, ` + 'SignedHeaders=host, Signature=00'
