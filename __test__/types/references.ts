// What declarations say about the types of reads.

import { SecretDelivery, defineTools } from '../..'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T => true as T

export async function typed(): Promise<void> {
  const delivery = new SecretDelivery({
    tools: {
      database: {
        aws: { staging: 'rds!db-3333', production: { id: 'rds!db-1111' } },
        secrets: { password: { required: true }, user: {}, whole: { aws: 'x', json: ['username', 'password'] } },
      },
    },
    secrets: { SENDGRID: { aws: 'prod/sendgrid' } },
  })
  const password = await delivery.getToolSecret('database', 'password', { timeoutMs: 100, maxAgeSeconds: 5 })
  is<Same<typeof password, string>>()
  const user = await delivery.getToolSecret('database', 'user', { signal: new AbortController().signal })
  is<Same<typeof user, string | null>>()
  const whole = await delivery.getToolSecretJson('database', 'whole')
  const bytes = await delivery.getToolSecretBytes('database', 'user')
  is<Same<typeof bytes, Uint8Array | null>>()
  const key = await delivery.getToolSecretBytes('database', 'password')
  is<Same<typeof key, Uint8Array>>()
  const username: unknown = whole?.username
  const given = await delivery.getToolSecretJson<{ a: number }>('database', 'user')
  const a: number | undefined = given?.a
  await delivery.getSecretFromAWS({ id: 'prod/x', field: 'y' }, 'production')
  await delivery.getSecretFromAWS('prod/x', { timeoutMs: 100 })
  // @ts-expect-error Options come once.
  await delivery.getSecretFromAWS('prod/x', { timeoutMs: 100 }, { timeoutMs: 100 })
  void [username, a]

  const tools = defineTools({ jira: { aws: '{environment}/jira', secrets: { user: { required: true } } } })
  const jira = new SecretDelivery({ tools })
  const name = await jira.getToolSecret('jira', 'user')
  is<Same<typeof name, string>>()
  const all = await jira.getToolSecrets('jira')
  is<Same<typeof all, { user: string }>>()
  const some = await delivery.getToolSecrets('database')
  is<Same<typeof some, { password: string; user?: string; whole?: string }>>()
  // @ts-expect-error a place in AWS is no number
  void new SecretDelivery({ tools: { a: { secrets: { b: { aws: 5 } } } } })

  const own = new SecretDelivery({ environments: { qa: { like: 'staging' } }, environment: 'qa' })
  is<Same<typeof own.environment, 'development' | 'test' | 'staging' | 'production' | 'qa'>>()
  // @ts-expect-error an environment that is not declared
  void new SecretDelivery({ environments: { qa: { like: 'staging' } }, environment: 'qb' })
}
