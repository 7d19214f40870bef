// Compiled by __test__/types/types.test.js under --strict and never run: the documented interfaces accept the class.

import {
  SecretDelivery,
  SecretError,
  environmentDefaults,
  type Environment,
  type PerformanceMetrics,
  type SecretCache,
  type SecretDeliveryOptions,
  type SecretErrorCode,
  type ValidationResult,
} from 'tcs-secret-delivery'
import type * as documented from './documented-interfaces.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equal<A, B>): void => undefined

const delivery = new SecretDelivery()

const engine: documented.SecretDeliveryEngine = delivery
const integration: documented.TCSSecretIntegration<ValidationResult> = delivery
const migration: documented.MigrationValidation<ValidationResult, PerformanceMetrics> = delivery
const rotator: documented.SecretRotator = delivery
const cache: documented.SecretCache = delivery.cache
const recorder: documented.SecretRetrievalRecorder = delivery.metrics
void [engine, integration, migration, rotator, cache, recorder]

same<Awaited<ReturnType<SecretDelivery['getToolSecret']>>, string | null>(true)
same<Awaited<ReturnType<SecretDelivery['getToolSecrets']>>, Record<string, string>>(true)
same<SecretDelivery['cache'], SecretCache>(true)
same<SecretDelivery['environment'], Environment>(true)
same<SecretError['code'], SecretErrorCode>(true)
same<ReturnType<SecretDelivery['onSecretRotated']>, () => void>(true)

const options: SecretDeliveryOptions = {
  environment: 'prod',
  tools: {
    github: {
      secrets: { api_token: { required: true, pattern: '^gh', minLength: 8, json: ['a'], rotationType: 'api-tokens' } },
    },
  },
  aws: { region: 'eu-central-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } },
  envFile: false,
  runtime: { precedence: 'override', variables: {}, secretDirectories: [] },
  cache: {
    ttlSeconds: 1,
    redis: { url: 'rediss://host', tls: { ca: '' } },
    encryptionKeys: [{ id: 'a', key: new Uint8Array(32) }],
  },
  audit: false,
  logger: console,
}
void options

// A service takes any delivery, however its options were put together.
class Service {
  constructor(readonly secrets: SecretDelivery) {}
}
class Own extends SecretDelivery {
  constructor(own?: SecretDeliveryOptions) {
    super(own)
  }
}
const fromVariable: { APP_ENV?: string } = {}
const made = (more: Partial<SecretDeliveryOptions>) => new SecretDelivery({ ...more })
const deliveries: SecretDelivery[] = [
  new SecretDelivery(options),
  made({ environment: 'test' }),
  new Own(options),
  new SecretDelivery({ environment: fromVariable.APP_ENV, environments: { qa: { like: 'staging' } } }),
]
for (const one of deliveries) void new Service(one)
void SecretDelivery.open(options).then((opened) => new Service(opened))
void SecretDelivery.open({ environment: fromVariable.APP_ENV }).then((opened) => new Service(opened))

// What must not compile.
// @ts-expect-error an unknown option
void new SecretDelivery({ colour: 'red' })
// @ts-expect-error an unknown environment
void new SecretDelivery({ environment: 'qa' })
// @ts-expect-error the same, where the file is read
void SecretDelivery.open({ environment: 'qa' })
// @ts-expect-error a misspelt option
void new SecretDelivery({ cache: { ttl: 5 } })
// @ts-expect-error a number is no secret type
void delivery.getToolSecret('github', 5)
// @ts-expect-error the value may be null
const notNull: Promise<string> = delivery.getSecret('A')
void notNull
// @ts-expect-error read-only
delivery.environment = 'test'
// @ts-expect-error not a code of this package
const wrong: SecretErrorCode = 'NO_SUCH_CODE'
void wrong

async function uses(): Promise<void> {
  await using scoped = new SecretDelivery({ environment: 'test' })
  const token: string | null = await scoped.getToolSecret('github', 'api_token')
  const days: number | null = environmentDefaults('production').rotationIntervalDays
  const explanation = await scoped.explain('GITHUB_API_TOKEN')
  const state: 'hit' | 'stale' | 'miss' | 'error' | 'disabled' | 'skipped' | undefined = explanation.layers[0]?.state
  try {
    await scoped.getSecret('A_B')
  } catch (error) {
    if (error instanceof SecretError && error.code === 'SECRET_ACCESS_DENIED') return
    throw error
  }
  void [token, days, state]
}
void uses
