import { SecretDelivery } from './index'
import type { Environment, KnownMembers, SecretErrorCode, SecretType, ToolName, Tools } from './index'

/** Options of a `TestDelivery`. */
export interface TestDeliveryOptions<T extends Tools = Tools> {
  /** The environment. Default `'test'`. */
  environment?: Environment | 'dev' | 'stage' | 'prod'
  /** The tools that the service declares. */
  tools?: T & KnownMembers<T>
  /** Values by tool and secret type. */
  secrets?: { [Tool in ToolName<T>]?: { [Type in SecretType<T, Tool>]?: string } }
}

/**
 * A real `SecretDelivery` whose secrets come from the test. It uses no AWS, env file, process variable, Redis or audit log.
 * Nothing is cached, so the next read sees a change.
 *
 * @example
 * const delivery = new TestDelivery({ secrets: { github: { api_token: 'a-token' } } })
 * afterAll(() => delivery.close())
 */
export class TestDelivery<T extends Tools = Tools> extends SecretDelivery<T> {
  /** @throws CONFIG_INVALID, SECRET_NAME_INVALID */
  constructor(options?: TestDeliveryOptions<T>)
  /**
   * Sets the value of a secret, or removes it (`null`). Replacing a value is a rotation: callbacks of `onSecretRotated`
   * are called.
   */
  setToolSecret<Tool extends ToolName<T>>(toolName: Tool, secretType: SecretType<T, Tool>, value: string | null): void
  /** Makes all later reads reject with this code, as if a source failed; `null` ends that. */
  failWith(code: SecretErrorCode | null): void
}
