import { SecretDelivery } from './index'
import type { Environment, KnownMembers, SecretErrorCode, SecretType, ToolName, Tools, Unset } from './index'

/** Options of a `TestDelivery`. */
export interface TestDeliveryOptions<T extends Tools = Tools> {
  /** The environment. Default `'test'`. */
  environment?: Environment | 'dev' | 'stage' | 'prod' | Unset
  /** The tools that the service declares. */
  tools?: (T & KnownMembers<T>) | Unset
  /** Values by tool and secret type. */
  secrets?:
    { readonly [Tool in ToolName<T>]?: { readonly [Type in SecretType<T, Tool>]?: string | Unset } | Unset } | Unset
  /** Values by the full name of a secret, for names that have no tool, such as `SENDGRID`. */
  names?: Readonly<Record<string, string | Unset>> | Unset
  /**
   * How long a copy is fresh, in seconds of the test's clock, which only `advance` moves. Default `0`: nothing is cached,
   * and the next read sees a change.
   */
  ttlSeconds?: number | Unset
  /** How long past its TTL a copy answers while reads fail, in seconds of the test's clock. Default `0`. */
  maxStaleSeconds?: number | Unset
}

/**
 * A real `SecretDelivery` whose secrets come from the test. It uses no AWS, env file, process variable, Redis or audit log.
 * Nothing is cached unless the test sets a TTL.
 *
 * @example
 * const delivery = new TestDelivery({ secrets: { github: { api_token: 'a-token' } } })
 * afterAll(() => delivery.close())
 */
export class TestDelivery<T extends Tools = Tools> extends SecretDelivery<T> {
  /** @throws CONFIG_INVALID, SECRET_NAME_INVALID */
  constructor(options?: TestDeliveryOptions<T>)
  /**
   * Sets the live value of a secret, or removes the secret (`null`). Replacing a value is a rotation: the old value becomes
   * the previous version, and callbacks of `onSecretRotated` are called. With a TTL, they are called when a read learns of
   * the new value.
   */
  setToolSecret<Tool extends ToolName<T>>(toolName: Tool, secretType: SecretType<T, Tool>, value: string | null): void
  /** Sets or removes (`null`) the live value of the secret with exactly this name, which may have no tool. */
  setSecret(secretName: string, value: string | null): void
  /**
   * Begins a rotation: the value becomes the pending version, which `getSecretVersions` shows and `withSecret` tries;
   * `null` ends it. To finish it, set the same value as the live one.
   */
  setPending(secretName: string, value: string | null): void
  /** Lets time pass for the copies: they become stale, and then too old. */
  advance(seconds: number): void
  /**
   * Makes all later reads of a source reject with this code, as if the source failed; `null` ends that. Copies go on to
   * answer as those of a real delivery do: fresh ones always, stale ones after SOURCE_UNAVAILABLE and SOURCE_TIMEOUT.
   */
  failWith(code: SecretErrorCode | null): void
}
