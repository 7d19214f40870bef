import { SecretDelivery } from './index'
import type { Environment, KnownMembers, SecretErrorCode, SecretType, ToolName, Tools } from './index'

/** Options of a `TestDelivery`. */
export interface TestDeliveryOptions<T extends Tools = Tools> {
  /** Default `'test'`. */
  environment?: Environment | 'dev' | 'stage' | 'prod'
  /** Declared tools, as the service declares them. */
  tools?: T & KnownMembers<T>
  /** Values by tool and secret type. */
  secrets?: { [Tool in ToolName<T>]?: { [Type in SecretType<T, Tool>]?: string } }
}

/**
 * A real `SecretDelivery` for tests, with secrets that stand in the test: AWS, env files, the process's variables, Redis
 * and the audit log have no part in it. Nothing is cached, so a change is seen by the next read.
 *
 * @example
 * const delivery = new TestDelivery({ secrets: { github: { api_token: 'a-token' } } })
 * afterAll(() => delivery.close())
 */
export class TestDelivery<T extends Tools = Tools> extends SecretDelivery<T> {
  /** @throws CONFIG_INVALID, SECRET_NAME_INVALID */
  constructor(options?: TestDeliveryOptions<T>)
  /**
   * Gives a secret a value, or takes it away (`null`). A value in place of another one is a rotation: listeners of
   * `onSecretRotated` are called.
   */
  setToolSecret<Tool extends ToolName<T>>(toolName: Tool, secretType: SecretType<T, Tool>, value: string | null): void
  /** From now on reads reject with this code, as when a source fails; `null`: no longer. */
  failWith(code: SecretErrorCode | null): void
}
