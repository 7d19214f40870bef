// Compiled by __test__/types/types.test.js under --strict and never run: declared names are checked, others stay free.

import {
  SecretDelivery,
  defineTools,
  type SecretDeliveryOptions,
  type Tools,
  type ValidationResult,
} from 'tcs-secret-delivery'
import type * as documented from './documented-interfaces.js'

const tools = defineTools({
  github: { secrets: { api_token: { required: true, json: ['a'] }, Webhook_Secret: {} } },
  slack: {},
})
const delivery = new SecretDelivery({ environment: 'test', tools })

// What is declared compiles.
void delivery.getToolSecret('github', 'api_token')
void delivery.getToolSecret('github', 'Webhook_Secret')
void delivery.validateToolSecrets('slack')
const length: Promise<number> = delivery.withSecret('github', 'api_token', async (secret) => secret.length)
const explicit: Promise<number> = delivery.withSecret<number>('github', 'api_token', async (secret) => secret.length)
void [length, explicit]
// A tool that declares no secrets has any.
void delivery.getToolSecret('slack', 'bot_token')

// What is not declared does not.
// @ts-expect-error a misspelt type
void delivery.getToolSecret('github', 'api_tokn')
// @ts-expect-error a misspelt tool
void delivery.getToolSecret('gitub', 'api_token')
// @ts-expect-error another spelling than the declared one
void delivery.getToolSecret('github', 'webhook_secret')
// @ts-expect-error a misspelt tool
void delivery.getToolSecrets('gitub')
// @ts-expect-error a misspelt tool
void delivery.validateToolSecrets('gitub')
// @ts-expect-error a misspelt type
void delivery.withSecret('github', 'api_tokn', async (secret) => secret.length)

async function results(): Promise<void> {
  const github = await delivery.getToolSecrets('github')
  // It is required, so that a listing without it rejects.
  const token: string = github.api_token
  const secret: string | undefined = github.webhook_secret
  // @ts-expect-error absent when no source has it
  const sure: string = github.webhook_secret
  // @ts-expect-error results are by lower-cased type
  void github.Webhook_Secret
  const slack: Record<string, string> = await delivery.getToolSecrets('slack')
  void [token, secret, sure, slack]
}
void results

// Tools in place are known as well.
const inPlace = new SecretDelivery({ cache: false, tools: { github: { secrets: { api_token: {} } } } })
void inPlace.getToolSecret('github', 'api_token')
// @ts-expect-error a misspelt type
void inPlace.getToolSecret('github', 'api_tokn')

// Rules are checked where they are written.
// @ts-expect-error an unknown rule beside a known one
defineTools({ github: { secrets: { api_token: { required: true, requird: true } } } })
// @ts-expect-error an unknown member of a tool
defineTools({ github: { secrets: {}, secret: {} } })
// @ts-expect-error a wrong type
defineTools({ github: { secrets: { api_token: { minLength: '20' } } } })
// @ts-expect-error an unknown rule, in place
void new SecretDelivery({ tools: { github: { secrets: { api_token: { required: true, requird: true } } } } })

// What is not known when compiling stays free.
const plain: Tools = { github: { secrets: { api_token: {} } } }
void new SecretDelivery({ tools: plain }).getToolSecret('any', 'thing')
const options: SecretDeliveryOptions = { tools }
void new SecretDelivery(options).getToolSecret('any', 'thing')
void new SecretDelivery().getToolSecret('any', 'thing')
const free: SecretDelivery = delivery
void free.getToolSecret('any', 'thing')
const typed: SecretDelivery<typeof tools> = delivery
void typed

// The documented interfaces accept it.
const engine: documented.SecretDeliveryEngine = delivery
const integration: documented.TCSSecretIntegration<ValidationResult> = delivery
void [engine, integration]
