// A TestDelivery stands where a SecretDelivery does, and knows its tools.

import { type SecretDelivery, defineTools } from 'tcs-secret-delivery'
import { TestDelivery } from '../../testing'

const tools = defineTools({ github: { secrets: { api_token: { required: true } } } })
const delivery = new TestDelivery({ tools, secrets: { github: { api_token: 'a' } } })
export const real: SecretDelivery<typeof tools> = delivery
delivery.setToolSecret('github', 'api_token', null)
delivery.failWith('SOURCE_TIMEOUT')

// @ts-expect-error: not declared
delivery.setToolSecret('github', 'api_tokn', 'x')
// @ts-expect-error: not declared
new TestDelivery({ tools, secrets: { github: { api_tokn: 'a' } } })
// @ts-expect-error: no code
delivery.failWith('NO_SUCH_CODE')

// Without tools any name will do.
export const any: SecretDelivery = new TestDelivery({ secrets: { slack: { bot: 'a' } } })
