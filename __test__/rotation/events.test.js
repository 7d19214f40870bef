'use strict'

// Events of AWS: handed over by the service, and from a queue of MiniStack, an AWS stand-in that others wrote.

const { GetQueueAttributesCommand, SendMessageCommand } = require('@aws-sdk/client-sqs')
const { CreateSecretCommand, PutSecretValueCommand } = require('@aws-sdk/client-secrets-manager')
const { SecretDelivery } = require('../..')
const { MiniStack } = require('../support/servers/ministack')
const { until } = require('../support/until')
const { overRedis } = require('../support/services')

const ID = 'A_B_production'
const world = overRedis({ [ID]: 'one' })

/** @param {string} name @param {string} [versionId] @param {string} [region] */
const labelUpdated = (name, versionId, region = 'eu-central-1') => ({
  version: '0',
  id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
  'detail-type': 'Secret Label Updated',
  source: 'aws.secretsmanager',
  account: '000000000000',
  time: new Date().toISOString(),
  region,
  resources: [`arn:aws:secretsmanager:${region}:000000000000:secret:${name}-a1B2c3`],
  detail: { name, labelUpdated: 'AWSCURRENT', versionId },
})

const currentVersion = async () => (await world.deliver({ redis: false }).getSecretVersions('A_B')).current?.versionId

describe('an event that the service hands over', () => {
  test('reaches the caches and the listeners of every instance', async () => {
    const [first, second] = [world.deliver(), world.deliver()]
    const heard = [[], []]
    for (const [i, delivery] of [first, second].entries()) {
      expect(await delivery.getSecret('A_B')).toBe('one')
      delivery.onSecretRotated((tool, type) => heard[i].push(`${tool}/${type}`))
    }
    const followers = () => world.redis.command('PUBSUB', 'NUMSUB', 'secret:events:production')
    await until('both follow', async () => Number((await followers())[1]) === 2)
    await world.aws.lag(100)
    await world.aws.put({ [ID]: 'two' })
    const { versionId } = /** @type {any} */ (await first.explain('A_B'))
    await world.aws.lag(0)
    const announced = await until('the new version', async () => {
      const live = await currentVersion()
      return live !== versionId && live
    })
    expect(await first.handleSecretEvent(labelUpdated(ID, announced))).toBe(true)
    expect(await first.getSecret('A_B')).toBe('two')
    await until('the other one has heard', () => heard[1].length > 0)
    expect(await second.getSecret('A_B')).toBe('two')
    // As text, and again: nothing more happens.
    expect(await second.handleSecretEvent(JSON.stringify(labelUpdated(ID, announced)))).toBe(true)
    await Promise.all([first.refresh('A_B'), second.refresh('A_B')])
    expect(heard).toEqual([['a/b'], ['a/b']])
  })

  test('that is none is refused, and one of somebody else passes by', async () => {
    const delivery = world.deliver()
    const cyclic = {}
    cyclic.self = cyclic
    for (const wrong of [undefined, null, 7, 'x', [], {}, () => {}, cyclic, 10n, 'x'.repeat(2 << 20)]) {
      await expect(delivery.handleSecretEvent(wrong)).rejects.toMatchObject({ code: 'SOURCE_RESPONSE_INVALID' })
    }
    await delivery.getSecret('A_B')
    expect(await delivery.handleSecretEvent({ ...labelUpdated(ID, 'v'), source: 'aws.ec2' })).toBe(false)
    expect(await delivery.handleSecretEvent({ ...labelUpdated(ID, 'v'), account: '111111111111' })).toBe(false)
    expect(await delivery.handleSecretEvent(labelUpdated(ID, 'v', 'us-east-1'))).toBe(false)
    expect(await delivery.handleSecretEvent(labelUpdated('A_B_staging', 'v'))).toBe(false)
    await delivery.close()
    await expect(delivery.handleSecretEvent(labelUpdated(ID, 'v'))).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('a queue', () => {
  /** @type {MiniStack} */
  let stack
  /** @type {import('@aws-sdk/client-secrets-manager').SecretsManagerClient} */
  let secrets
  beforeAll(async () => {
    stack = await MiniStack.start()
    secrets = stack.client()
  })
  afterAll(async () => {
    secrets.destroy()
    await stack.stop()
  })

  test('is followed: handled messages are deleted, what is no event is left to its redrive policy', async () => {
    const { client, url } = await stack.queue('events')
    await secrets.send(new CreateSecretCommand({ Name: ID, SecretString: 'one' }))
    const warnings = []
    const delivery = new SecretDelivery({
      environment: 'production',
      aws: stack.options,
      runtime: { variables: {}, secretDirectories: [] },
      events: { sqsQueueUrl: url },
      logger: { warn: (message) => warnings.push(message) },
    })
    const heard = []
    delivery.onSecretRotated((tool, type) => heard.push(`${tool}/${type}`))
    expect(await delivery.getSecret('A_B')).toBe('one')
    const { VersionId } = await secrets.send(new PutSecretValueCommand({ SecretId: ID, SecretString: 'two' }))
    const send = (body) => client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: body }))
    await send(JSON.stringify(labelUpdated(ID, VersionId, 'us-east-1')))
    await send('poison')
    await until('it has heard', () => heard.length > 0)
    expect([heard, await delivery.getSecret('A_B')]).toEqual([['a/b'], 'two'])
    await until('it has warned', () => warnings.some((message) => message.startsWith('EVENT_INVALID')))
    const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible']
    const left = async () => {
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: /** @type {any} */ (names) }),
      )
      return names.reduce((sum, name) => sum + Number(Attributes?.[name]), 0)
    }
    await until('only the poison is left', async () => (await left()) === 1)
    await delivery.close()
    client.destroy()
  })

  test('that does not answer is told once', async () => {
    const warnings = []
    const delivery = new SecretDelivery({
      environment: 'production',
      compliance: false,
      aws: stack.options,
      runtime: { variables: {}, secretDirectories: [] },
      events: { sqsQueueUrl: new URL('/000000000000/nothing', stack.url).href },
      logger: { warn: (message) => warnings.push(message) },
    })
    await delivery.getSecret('A_NOTHING')
    await until('it has warned', () => warnings.length > 0)
    expect(warnings[0]).toContain('EVENT_QUEUE_UNAVAILABLE')
    expect(warnings[0]).toContain('events.sqsQueueUrl')
    await delivery.close()
    expect(warnings).toHaveLength(1)
  })
})
