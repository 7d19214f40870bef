// Ready-made rotation hooks for tcs-secret-delivery. Written by hand, like index.d.ts.

import type { HookSignal, RotationContext, RotationHooks } from './index'

/** What a hook receives. */
export type RotationHookContext = RotationContext

/** A user and a password, as drivers take them. */
export interface Login {
  /** The name of the user. */
  user: string
  /** The password of the user. */
  password: string
}

/** A connection of `pg`, `mysql2/promise`, `mariadb`, or a driver of that form. */
export interface SqlConnection {
  /** Runs a statement. MySQL's drivers put `values` into it. */
  query(text: string, values?: any): Promise<unknown>
  /** Ends the connection. */
  end(): Promise<unknown> | void
}

/** A connection of `ioredis` (`call`) or `redis` (`sendCommand`). */
export interface RedisConnection {
  /** Sends a command: `ioredis`. */
  call?(command: string, ...args: string[]): Promise<unknown>
  /** Sends a command: `redis`. */
  sendCommand?(words: any): Promise<unknown>
  /** Ends the connection. */
  quit(): Promise<unknown>
}

/** One user whose password changes. */
export interface SingleUserOptions {
  /** Opens a new connection with a login, and rejects when it is refused. */
  connect: (login: Login) => Promise<SqlConnection>
  /** The name of the user, for a secret that is a password only. Default: the secret is JSON with `username`. */
  user?: string
  /** Opens a connection that may alter the user. Default: the user changes its own password. */
  admin?: () => Promise<SqlConnection>
}

/** Two users with the same rights, of which the secret names one. */
export interface AlternatingUsersOptions {
  /** Opens a new connection with a login, and rejects when it is refused. */
  connect: (login: Login) => Promise<SqlConnection>
  /** Opens a connection that may alter both users. */
  admin: () => Promise<SqlConnection>
  /** The names of the two users. */
  users: readonly [string, string]
}

/** Where users of MySQL and MariaDB come from. */
export interface MysqlHost {
  /** The host part of the account. Default: `'%'`. */
  host?: string
}

/** A user of Redis or Valkey. */
export interface RedisAclOptions {
  /** Opens a new connection with a login, and rejects when it is refused. */
  connect: (login: Login) => Promise<RedisConnection>
  /** Opens a connection that may run `ACL SETUSER`; one for each node of a cluster. */
  admin: () => Promise<RedisConnection | RedisConnection[]>
  /**
   * The name of the user, for a secret that is a password only. Where the secret is JSON with `username`, that is the user, and
   * another one here is refused. Default: `'default'`.
   */
  user?: string
  /** Whether `ACL SAVE` follows each change. Needs an ACL file. Default: `false`. */
  save?: boolean
}

/** Another service that does the work. */
export interface WebhookOptions {
  /** Where each step is posted to. `https`, except on the loopback interface. */
  url: string
  /** The key of the signature. At least 16 characters. */
  signingKey: string
  /** More headers. Default: none. */
  headers?: Record<string, string>
  /** The steps that it does. Default: all. */
  steps?: readonly ('set' | 'test' | 'verify' | 'undo')[]
  /** Sends the request. Default: the global `fetch`. */
  fetch?: (
    url: string,
    init: {
      method: string
      headers: Record<string, string>
      body: string
      signal: HookSignal
      redirect: 'error'
    },
  ) => Promise<{ ok: boolean; status: number; body: any }>
}

/** What came in at the other service. */
export interface WebhookRequest {
  /** The body as it came, unparsed. */
  body: string | Uint8Array
  /** The headers, lower-cased names. */
  headers: Record<string, string | string[] | undefined> | { get(name: string): string | null }
  /** The key of the signature. */
  signingKey: string
  /** How old a request may be. In seconds, 0 or more. Default: `300`. */
  toleranceSeconds?: number
}

/** What each step is posted as. */
export interface WebhookBody {
  /** What is to be done. May come again with the same `versionId`. */
  step: 'set' | 'test' | 'verify' | 'undo'
  /** Name of the secret. */
  name: string
  /** The environment whose secret is rotated. */
  environment: string
  /** Lower-cased; `null` when the name has no type part. */
  tool: string | null
  /** The part of the name after the tool, lower-cased; `null` when the name has no type part. */
  secretType: string | null
  /** The declared `rotationType` of the secret; `null` when it has none. */
  rotationType: string | null
  /** Id of the new version. */
  versionId: string
  /** Id of the version that was live when the rotation began; in `undo` of the one that is live. */
  previousVersionId: string
  /** The value that was live when the rotation began; in `undo` the one that is live. */
  currentValue: string
  /** The new value. */
  newValue: string
}

/** Hooks for one role of PostgreSQL. Until the rotation is finished its old password is refused: use `withSecret`. */
export function postgresSingleUser(options: SingleUserOptions): RotationHooks
/** Hooks for two roles of PostgreSQL that take turns. Nobody is ever refused. */
export function postgresAlternatingUsers(options: AlternatingUsersOptions): RotationHooks
/** Hooks for one user of MySQL or MariaDB. Until the rotation is finished its old password is refused: use `withSecret`. */
export function mysqlSingleUser(options: SingleUserOptions & MysqlHost): RotationHooks
/** Hooks for two users of MySQL or MariaDB that take turns. Nobody is ever refused. */
export function mysqlAlternatingUsers(options: AlternatingUsersOptions & MysqlHost): RotationHooks
/** Hooks for a user of Redis or Valkey, who has the live and the new password at the same time. Nobody is ever refused. */
export function redisAcl(options: RedisAclOptions): RotationHooks
/** Hooks that post each step to another service, signed. */
export function webhook(options: WebhookOptions): RotationHooks
/** Whether a request of `webhook` is genuine and recent. For the other service. */
export function verifyWebhook(request: WebhookRequest): boolean
