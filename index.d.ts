/** The four environments. Aliases `dev`, `stage` and `prod` are accepted where an environment is given. */
export type Environment = 'development' | 'test' | 'staging' | 'production'

/**
 * The stable `code` of every rejection and every error thrown by this package.
 *
 * | code | meaning |
 * |---|---|
 * | `CONFIG_INVALID` | an option is unknown, of the wrong type or out of range; the message starts with its path |
 * | `SECRET_NAME_INVALID` | a tool, type or secret name has characters or a length that no source accepts |
 * | `SECRET_ACCESS_DENIED` | AWS refused access or decryption |
 * | `SOURCE_UNAVAILABLE` | a source failed: network, throttling, 5xx, credentials, an unreadable file |
 * | `SOURCE_TIMEOUT` | a source did not answer inside its deadline |
 * | `SOURCE_RESPONSE_INVALID` | a source answered with something that is not a secret |
 * | `ENV_FILE_INVALID` | the env file exists and cannot be used |
 * | `CACHE_UNAVAILABLE` | the shared cache did not carry out `cache.invalidate`, `cache.clear` or `cache.set` |
 * | `CACHE_ENTRY_CORRUPT` | an entry of the shared cache was unreadable (seen in `explain`; reads go on to AWS) |
 * | `ENCRYPTION_KEY_INVALID` | a cache key is missing where it is required, malformed or given twice |
 * | `ROTATION_FAILED` | a rotation ended with the old value live |
 * | `ROTATION_ROLLED_BACK` | a rotation was finished and taken back |
 * | `AUDIT_WRITE_FAILED` | the audit record could not be written |
 * | `CLOSED` | the delivery was closed |
 */
export type SecretErrorCode =
  | 'CONFIG_INVALID'
  | 'SECRET_NAME_INVALID'
  | 'SECRET_ACCESS_DENIED'
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_TIMEOUT'
  | 'SOURCE_RESPONSE_INVALID'
  | 'ENV_FILE_INVALID'
  | 'CACHE_UNAVAILABLE'
  | 'CACHE_ENTRY_CORRUPT'
  | 'ENCRYPTION_KEY_INVALID'
  | 'ROTATION_FAILED'
  | 'ROTATION_ROLLED_BACK'
  | 'AUDIT_WRITE_FAILED'
  | 'CLOSED'

/** Every error of this package. Its message names the secret and the reason, never a value. */
export class SecretError extends Error {
  readonly name: 'SecretError'
  readonly code: SecretErrorCode
}

/** An action of AWS IAM that this package uses. */
export type AwsAction =
  | 'secretsmanager:GetSecretValue'
  | 'secretsmanager:BatchGetSecretValue'
  | 'secretsmanager:ListSecrets'
  | 'secretsmanager:DescribeSecret'
  | 'secretsmanager:CreateSecret'
  | 'secretsmanager:TagResource'
  | 'secretsmanager:PutSecretValue'
  | 'secretsmanager:UpdateSecretVersionStage'
  | 'secretsmanager:RotateSecret'
  | 'secretsmanager:GetRandomPassword'
  | 'kms:Decrypt'
  | 'kms:GenerateDataKey'

/** An error in a report. Its message names the secret and the reason, never a value. */
export interface ReportedError {
  code: SecretErrorCode
  message: string
  /** The permission that is missing, where AWS named it. */
  action?: AwsAction
}

/** What a declared secret must look like; checked by `validateToolSecrets`. */
export interface SecretSpec {
  /** Its absence is an error. Default `false`. */
  required?: boolean
  /** A regular expression (Rust syntax) that the value must match. */
  pattern?: string
  /** Least number of characters. */
  minLength?: number
  /** The value must be JSON holding these top-level fields; `[]` accepts any JSON. Default `false`. */
  json?: string[] | false
  /** Type for the rotation policies. */
  rotationType?: string
  /** When it is moved to AWS. Default: `'critical'` for the tools database, db, redis and session, else `'tool'`. */
  phase?: 'critical' | 'tool' | 'other'
}

/** The secrets of one tool, by secret type (`api_token`). */
export interface ToolSpec {
  secrets?: Record<string, SecretSpec>
}

/** Tools by name. */
export type Tools = Record<string, ToolSpec>

/** `T` with `never` for each member that is no member of `ToolSpec` or `SecretSpec`, so that a misspelt one is refused. */
export type KnownMembers<T> = {
  [Tool in keyof T]: {
    [Member in keyof T[Tool]]: Member extends 'secrets'
      ? {
          [Type in keyof T[Tool][Member]]: {
            [Rule in keyof T[Tool][Member][Type]]: Rule extends keyof SecretSpec ? SecretSpec[Rule] : never
          }
        }
      : never
  }
}

/** The declared names of tools; any text for tools that are not known when compiling. */
export type ToolName<T> = keyof T & string

/** The declared secret types of a tool; any text for a tool that declares none. */
export type SecretType<T, Tool extends keyof T> = T[Tool] extends { secrets: infer Secrets }
  ? keyof Secrets & string
  : string

/** The secrets of a tool by lower-cased type. */
export type ToolSecrets<T, Tool extends keyof T> =
  string extends SecretType<T, Tool> ? Record<string, string> : { [Type in Lowercase<SecretType<T, Tool>>]?: string }

/** Explicit AWS credentials, instead of the standard chain. */
export interface AwsCredentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

/** A region that holds replicas. */
export interface FailoverRegion {
  region: string
  /** Another endpoint than AWS's own. */
  endpoint?: string
}

/** AWS Secrets Manager. */
export interface AwsOptions {
  /** Ask AWS at all. Default `true`. */
  enabled?: boolean
  /** Region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile. */
  region?: string
  /** Another endpoint (VPC endpoint, stand-in). Default: `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL`, AWS. */
  endpoint?: string
  /** Profile of the shared configuration files. Default: `AWS_PROFILE`, `default`. */
  profile?: string
  /** Default: the standard chain (variables, profile, SSO, web identity, container, instance metadata). */
  credentials?: AwsCredentials
  /** One deadline for a read, retries included, in milliseconds. Default `4500`. */
  timeoutMs?: number
  /** Deadline for opening a connection, in milliseconds. Default `1000`. */
  connectTimeoutMs?: number
  /** Calls one read may cost, the first included. Default `3`. */
  maxAttempts?: number
  /** Calls to AWS this process makes at most in a second, retries included. Default `200`. */
  requestsPerSecond?: number
  /**
   * Regions that hold replicas, asked in order when the one before fails: a name, or a name and an endpoint. Only a
   * value counts; that a replica lacks a secret says nothing. Default `[]`.
   */
  failoverRegions?: (string | FailoverRegion)[]
  /** How a secret name becomes an AWS id. Default `'{name}_{environment}'`. */
  secretIdTemplate?: string
}

/** The env file. */
export interface EnvFileOptions {
  /** File name or path. Default: `.env.dev`, `.env.test`, `.env.staging`; none in production. */
  path?: string
  /** Where a relative path starts. Default: the working directory at construction. */
  directory?: string
  /** `'dotenv'` reads as npm `dotenv` does; `'dotenvy'` as the Rust crate (substitutes `$VAR`). Default `'dotenv'`. */
  syntax?: 'dotenv' | 'dotenvy'
}

/** The runtime environment: process variables, `NAME_FILE`, Docker secrets, Kubernetes mounts. */
export interface RuntimeOptions {
  /** `'last'`: asked after AWS and the env file. `'override'`: asked first. Default `'last'`. */
  precedence?: 'last' | 'override'
  /** Used instead of `process.env`. Default: `process.env`, read at each call. */
  variables?: Record<string, string>
  /** Directories of mounted secrets, asked in order. Default `['/run/secrets']`. */
  secretDirectories?: string[]
}

/** A key for values in the shared cache. */
export interface EncryptionKey {
  /** Stands in each envelope; 1 to 64 letters, digits, `_`, `.`, `-`. */
  id: string
  /** 32 random bytes, or their base64 text. */
  key: string | Uint8Array
}

/** The shared cache. */
export interface RedisOptions {
  /**
   * `redis://` or `rediss://` (TLS), `redis+cluster://host:port,host:port`,
   * `redis+sentinel://host:port,host:port/service`; the latter two also as `rediss+…`. Default: `REDIS_URL`.
   */
  url?: string
  /** Comes before the AWS id in each key. Default `'secret:'`. */
  keyPrefix?: string
  /** PEM texts. `ca` is trusted instead of Mozilla's root certificates; the system's are not asked. Only with `rediss…`. */
  tls?: { ca?: string; cert?: string; key?: string }
}

/** The caches: a bounded one in the process, over a shared one in Redis. */
export interface CacheOptions {
  /** How long a copy is fresh, in seconds. Default: 60 in test, 300 in staging and production. */
  ttlSeconds?: number
  /** Most entries in the process. Default `10000`. */
  maxEntries?: number
  /** How long past its TTL a copy may answer while AWS fails, in seconds. Default: 3600 in staging and production, else 0. */
  maxStaleSeconds?: number
  /** How long "not in AWS" and "access denied" are remembered, in seconds. Default `5`. */
  negativeTtlSeconds?: number
  /** Whether a read in the last fifth of the TTL begins a refresh in the background. Default `true`. */
  refreshAhead?: boolean
  /**
   * A file of encrypted last-known-good copies (mode 0600), for a start while AWS and Redis are both down. Needs
   * `encryptionKeys`. Default: none.
   */
  snapshotPath?: string
  /** The shared cache. Default: the one at `REDIS_URL` when that is set; `false` for none. */
  redis?: RedisOptions | false
  /** Keys for the shared cache: the first encrypts, any decrypts. Default: `TCS_CACHE_KEYS`. Required with Redis in staging and production. */
  encryptionKeys?: EncryptionKey[]
}

/** The documented rotation policy, and how generated values look. */
export interface SecretRotationPolicy {
  /** The `rotationType` of declared secrets that it applies to. */
  secretType: string
  /** Days from one rotation to the next, 1 to 3650. */
  rotationInterval: number
  /** Time of day in UTC, `'HH:MM'`. Default `'02:00'`. */
  rotationTime?: string
  /** How many days ahead it is announced (`rotation.onNotice`). Default `0`. */
  notificationDays?: number
  /** Whether a live value that the `verify` hook refuses is taken back. Default `true`. */
  rollbackEnabled?: boolean
  /** Characters of a generated value, 8 to 1024. Default `32`. */
  passwordLength?: number
  /** The characters it is made of, each once, at least 10. Default: letters and digits. */
  passwordAlphabet?: string
  /** The field of a JSON secret that is replaced. Default `'password'`. */
  passwordField?: string
}

/** What a rotation hook is told. Its values are methods: whatever prints the context does not print them. */
export interface RotationContext {
  readonly name: string
  readonly environment: Environment
  readonly awsId: string
  /** Lower-cased; `null` when the name has no type part. */
  readonly tool: string | null
  readonly secretType: string | null
  readonly rotationType: string | null
  readonly previousVersionId: string
  /** `null` in `create`. */
  readonly versionId: string | null
  /** The value that was live when the rotation began. */
  currentValue(): string
  /** The new value. @throws CLOSED in `create`, and after the hook ended. */
  newValue(): string
}

/**
 * What the service itself does in a rotation. A hook that throws ends it; of its error only the class and a plain `code`
 * are repeated. After a crash a rotation goes on where it stopped, so each hook may be called again with the same value.
 */
export interface RotationHooks {
  /** Makes the new value. Default: a generated one. */
  create?(context: RotationContext): Promise<string> | string
  /** Applies the new value to the target system. */
  set?(context: RotationContext): Promise<void> | void
  /** Tries the new value before it is live. */
  test?(context: RotationContext): Promise<void> | void
  /** Checks the value after it became live. */
  verify?(context: RotationContext): Promise<void> | void
  /**
   * Puts the target system back to the old value. Without it a value that was `set` and then refused stays AWSPENDING,
   * and the next rotation tries it again.
   */
  undo?(context: RotationContext): Promise<void> | void
}

/** Rotation. */
export interface RotationOptions {
  /** Added to the documented ones (`database-credentials`, `api-tokens`, `oauth-credentials`), or in their place. */
  policies?: SecretRotationPolicy[]
  hooks?: RotationHooks
  /** Deadline for one call of a hook, in milliseconds. Default `30000`. */
  hookTimeoutMs?: number
  /** How far `rotation.start()` spreads what is due at the same time, in seconds. Default `300`. */
  jitterSeconds?: number
  /** Who makes passwords: `'local'` random numbers, or AWS GetRandomPassword. Default `'local'`. */
  generator?: 'local' | 'aws'
}

/** Where news of changed secrets comes from, beside `handleSecretEvent`. */
export interface EventsOptions {
  /** An SQS queue that EventBridge writes to; one queue for each environment. Default: none. */
  sqsQueueUrl?: string
  /**
   * How often versions that no reader keeps fresh are compared with AWS's, in seconds. Default `900` with a queue or a
   * callback of `onSecretRotated`, else never.
   */
  pollSeconds?: number
}

/** The audit log: one record for each value that is delivered, written before it is. See docs/audit.md. */
export interface AuditOptions {
  /** A file, or `'stdout'`. Default: `TCS_AUDIT_LOG`, else `'secret-audit.jsonl'` in the working directory. */
  path?: string
  /** Whether secrets are refused while records cannot be written. Default `'deny'` in staging and production, else `'warn'`. */
  onFailure?: 'deny' | 'warn'
  /** Takes whole lines instead of the file, in order; those it throws for are offered again. Default: none. */
  sink?: (lines: string) => Promise<void> | void
  /** Makes every link of the chain an HMAC: at least 16 random bytes, or their base64 text. Default: none. */
  key?: string | Uint8Array
  /** A file of this size is rotated away. Default `256`. */
  maxMegabytes?: number
  /** A file of this age is rotated away. Default: never. */
  rotateHours?: number
  /** Stands in every record as `caller`: up to 255 bytes. Default: none. */
  label?: string
  /** Where records wait until they are written. Default: beside the file; without a file, `TMPDIR` or `/tmp`. */
  journalDirectory?: string
}

/** When to call `onAlert`. Each threshold can be `false`: not watched. */
export interface AlertOptions {
  /** The 99th percentile of retrievals is longer. Default `5`. */
  latencySeconds?: number | false
  /** The share of lookups that a cache answered is smaller, 0 to 1. Default `0.8` in production, else not watched. */
  minHitRate?: number | false
  /** More rotations failed in a day. Default `0`. */
  rotationFailuresPerDay?: number | false
  /** AWS refused this identity more often. Default `0`. */
  unauthorizedAccess?: number | false
  /** More secrets are not in AWS and have a value in a later source. Default `0`. */
  secretsNotInAws?: number | false
  /** How far back is looked, but for rotations, in seconds. Default `300`. */
  windowSeconds?: number
  /** How often, in seconds. Default `10`. */
  intervalSeconds?: number
}

/** Where warnings go, and what happens inside. `console`, pino and winston loggers fit. */
export interface SecretLogger {
  warn(message: string): void
  info?(message: string): void
  debug?(message: string): void
}

/** All options; each has a default, and `new SecretDelivery()` works in development. */
export interface SecretDeliveryOptions {
  /** Default: `TCS_ENVIRONMENT`, `NODE_ENV`, `'development'`. */
  environment?: Environment | 'dev' | 'stage' | 'prod'
  /** Declared tools and their secrets. */
  tools?: Record<string, ToolSpec>
  aws?: AwsOptions
  /** `false`: no env file. */
  envFile?: EnvFileOptions | false
  runtime?: RuntimeOptions
  /** `false`: nothing is cached. Default: off in development, on elsewhere. */
  cache?: CacheOptions | false
  rotation?: RotationOptions
  events?: EventsOptions
  /** `false`: nothing is watched. */
  alerts?: AlertOptions | false
  /** `false`: no audit log. Default: off in development, on elsewhere. */
  audit?: AuditOptions | false
  /**
   * How much of what happens inside is logged; warnings always are. Default: the `level` of a pino or winston logger,
   * else `'warn'`.
   */
  logLevel?: 'debug' | 'info' | 'warn' | 'silent'
  /** Default: `process.emitWarning`. */
  logger?: SecretLogger
}

/** What an environment means when no option says otherwise. Durations in seconds. */
export interface EnvironmentDefaults {
  environment: Environment
  source: 'aws-secrets-manager'
  /** `null`: no env file. */
  fallback: string | null
  fallbackDeprecated: boolean
  cache: boolean
  cacheTtlSeconds: number | null
  maxStaleSeconds: number
  audit: boolean
  rotation: 'manual' | 'weekly' | 'bi-weekly'
  rotationIntervalDays: number | null
  encryption: boolean
  compliance: 'soc2' | null
  monitoring: boolean
  alerting: boolean
  /** What follows an AWS failure that no stale copy covers. */
  onAwsFailure: 'next-source' | 'reject'
}

/** The documented cache interface, over both caches. */
export interface SecretCache {
  /** The fresh cached value, or `null`. Never asks AWS. */
  get(secretName: string): Promise<string | null>
  /** @param ttlSeconds Default: the configured TTL. @throws CONFIG_INVALID unless a whole number above 0. */
  set(secretName: string, value: string, ttlSeconds?: number): Promise<void>
  /** Drops the cached copies. @throws CACHE_UNAVAILABLE when the shared cache could not be told. */
  invalidate(secretName: string): Promise<void>
  /** Drops every cached copy of this environment. @throws CACHE_UNAVAILABLE as `invalidate`. */
  clear(): Promise<void>
}

/** One problem a validation found. */
export interface ValidationIssue {
  code:
    | 'MISSING'
    | 'EMPTY'
    | 'PLACEHOLDER'
    | 'SURROUNDING_WHITESPACE'
    | 'SURROUNDING_QUOTES'
    | 'EXPIRED'
    | 'EXPIRES_SOON'
    | 'ROTATION_OVERDUE'
    | 'SAME_IN_OTHER_ENVIRONMENT'
    | 'NOT_COMPARED'
    | 'PATTERN_MISMATCH'
    | 'TOO_SHORT'
    | 'NOT_JSON'
    | 'JSON_FIELD_MISSING'
    | 'NOT_IN_AWS'
    | 'DIFFERENT'
    | 'ONLY_IN_ENV_FILE'
    | 'SOURCE_ERROR'
    | 'CHECK_FAILED'
  severity: 'error' | 'warning'
  /** Names the secret and the reason, never a value. */
  message: string
  /** The permission that is missing, where AWS named it. */
  action?: AwsAction
}

/** A secret as a validation saw it. */
export interface ValidatedSecret {
  name: string
  /** Lower-cased; `null` when the name has no type part. */
  secretType: string | null
  present: boolean
  source: SecretSource | null
  versionId: string | null
  /** How long ago the version in AWS was made. */
  ageSeconds: number | null
  issues: ValidationIssue[]
}

/** The outcome of a validation. `valid` is true when no issue has severity `error`. */
export interface ValidationResult {
  valid: boolean
  /** `null` when all declared tools were looked at. */
  tool: string | null
  environment: Environment
  /** ISO 8601, UTC. */
  checkedAt: string
  secrets: ValidatedSecret[]
  /** The service's own checks, where `validateApplicationFunctionality` was given some. */
  checks?: CheckResult[]
}

/** What `validateSecretAccess` found. */
export interface AccessValidationResult extends ValidationResult {
  permissions: PermissionState[]
}

/** Whether this identity may do something, as AWS's own answers tell. */
export interface PermissionState {
  action: AwsAction
  /**
   * `denied`: AWS refused it, for one secret at least. `unknown`: nothing was there to try it on, AWS did not say which
   * action it refused, or only writing would tell (then `migration.apply` names what it lacks).
   */
  state: 'granted' | 'denied' | 'unknown'
  /** The secrets it was refused for; empty where it is about no secret. */
  refusedFor: string[]
}

/** How a check of the service's own ended. */
export interface CheckResult {
  name: string
  passed: boolean
  /** `CHECK_FAILED`; of the error only the class and a plain `code` are repeated. */
  issue: ValidationIssue | null
}

/** What `validateApplicationFunctionality` also does. */
export interface FunctionalityOptions extends MigrationScope {
  /** The service's own checks, run one after the other: one that throws, or does not end in time, has failed. */
  checks?: Record<string, () => Promise<void> | void>
  /** Deadline for one check, in milliseconds. Default `30000`. */
  timeoutMs?: number
}

/** Latencies of one layer, in milliseconds. */
export interface LatencySummary {
  layer: 'memory' | 'redis' | 'aws' | 'env-file'
  reads: number
  p50Ms: number
  p95Ms: number
  p99Ms: number
}

/** What delivery costs, layer by layer, against the documented bound of 5 seconds. */
export interface PerformanceMetrics {
  environment: Environment
  measuredAt: string
  layers: LatencySummary[]
  /** 5000. */
  thresholdMs: number
  /** Whether every layer's p99 is under the threshold. */
  withinThreshold: boolean
}

/** Where a value came from. */
export type SecretSource = 'memory' | 'redis' | 'snapshot' | 'aws' | 'env-file' | 'runtime'

/** One layer's part of an explanation. */
export interface LayerExplanation {
  layer: SecretSource
  /** `skipped`: an earlier layer's fresh answer made asking needless. */
  state: 'hit' | 'stale' | 'miss' | 'error' | 'disabled' | 'skipped'
  /** File path, process variable or AWS id, where there is one. */
  place: string | null
  versionId: string | null
  ageSeconds: number | null
  /** ISO 8601, UTC. */
  freshUntil: string | null
  staleUntil: string | null
  /** When a read begins its refresh in the background; `null` where nothing refreshes it. */
  refreshAt: string | null
  error: ReportedError | null
}

/** Why a secret has the value it has. Never the value. */
export interface SecretExplanation {
  name: string
  environment: Environment
  awsId: string
  /** The layer whose value a read returns now; `null` when it would be `null` or reject. */
  answeredBy: SecretSource | null
  stale: boolean
  versionId: string | null
  /** The error a read would reject with now. */
  error: ReportedError | null
  /** In the order they are asked. */
  layers: LayerExplanation[]
  /** Whether each source is asked at all: `aws`, `aws:<region>`, `redis`. */
  breakers: Record<string, 'closed' | 'half-open' | 'open'>
  /**
   * What the secret costs in a month at AWS's list prices, when this instance alone reads it all the time; `null` where
   * nothing is cached and every read is a call.
   */
  estimate: { awsCallsPerMonth: number; costPerMonthUsd: number } | null
}

/** State of one part. */
export interface HealthCheck {
  status: 'ok' | 'degraded' | 'down' | 'disabled'
  /** `null` when ok. */
  reason: string | null
}

/** State of every source and cache. `status` is the worst that matters to reads. */
export interface HealthReport {
  status: 'ok' | 'degraded' | 'down'
  environment: Environment
  checkedAt: string
  checks: Record<'aws' | 'envFile' | 'runtime' | 'memory' | 'redis' | 'audit', HealthCheck>
}

/** How a rotation ended, and what was done. Never a value. */
export interface RotationReport {
  name: string
  environment: Environment
  awsId: string
  rotationType: string | null
  /**
   * `finished`: the new value is live. `unverified`: it is, and the check of it failed (the policy takes nothing back).
   * `failed`: the old value is live. `rolled-back`: the new value was live and the old one is again.
   */
  outcome: 'finished' | 'unverified' | 'failed' | 'rolled-back'
  /** It went on with the value of an interrupted rotation. */
  resumed: boolean
  /** AWS's own rotation function did it. */
  byAws: boolean
  /** Another instance did it meanwhile. */
  byAnotherInstance: boolean
  /** ISO 8601, UTC. */
  startedAt: string
  endedAt: string
  steps: {
    step: 'create' | 'set' | 'test' | 'finish' | 'verify' | 'undo' | 'rollback'
    startedAt: string
    durationMs: number
    error: ReportedError | null
  }[]
  previousVersionId: string | null
  versionId: string | null
  /** `ROTATION_FAILED` or `ROTATION_ROLLED_BACK`, with the reason. */
  error: ReportedError | null
}

/** When a declared secret is to be rotated. */
export interface RotationDue {
  name: string
  tool: string
  secretType: string
  rotationType: string | null
  /** The policy's `secretType`; `null`: the environment's interval. */
  policy: string | null
  /** `manual`: people rotate here. `unknown`: AWS has no such secret, or did not answer. */
  state: 'due' | 'announced' | 'later' | 'manual' | 'unknown'
  versionId: string | null
  /** When the live version was made. ISO 8601, UTC. */
  rotatedAt: string | null
  noticeAt: string | null
  dueAt: string | null
  error: ReportedError | null
}

/** What a scheduler does, and how rotations end. */
export type RotationNotice =
  | {
      kind: 'announced'
      name: string
      tool: string
      secretType: string
      rotationType: string | null
      dueAt: string
      daysLeft: number
    }
  | { kind: 'ended'; report: RotationReport }

/** Rotation. */
export interface SecretRotationManager {
  /** The policies in force, by type. */
  readonly policies: readonly Readonly<Required<SecretRotationPolicy>>[]
  /**
   * Gives the secret a new value: staged as AWSPENDING, set and tested by the hooks, then made AWSCURRENT, and checked.
   * A rotation that fails resolves as well, with the reason.
   * @param environment Default: this delivery's.
   * @throws CONFIG_INVALID, SECRET_NAME_INVALID, CLOSED
   */
  rotate(secretName: string, environment?: string): Promise<RotationReport>
  /** The documented form of `rotate`: whether the new value is live. */
  rotateSecret(secretName: string, environment: string): Promise<boolean>
  /** All declared secrets, the earliest due first. */
  due(): Promise<RotationDue[]>
  /**
   * Begins to rotate declared secrets when they are due, one instance of a fleet at a time (Redis tells which). `false`,
   * and a warning, where secrets are rotated by hand (development).
   */
  start(): boolean
  stop(): void
  /** Called for announced and ended rotations. @returns A function that unsubscribes. */
  onNotice(callback: (notice: RotationNotice) => void): () => void
}

/** When a secret is moved to AWS. */
export type MigrationPhase = 'critical' | 'tool' | 'other'

/** What a migration command or validation is limited to. Default: everything that is declared or in the env file. */
export interface MigrationScope {
  phase?: MigrationPhase
  /** Secret names, declared or not. */
  names?: string[]
}

/** A secret of a plan. Never its value. */
export interface PlannedSecret {
  name: string
  phase: MigrationPhase
  /**
   * `create`: only the file has it. `update`: AWS has another value. `keep`: AWS has the same value. `missing`: neither
   * has it. `unknown`: AWS did not say, see `error`.
   */
  action: 'create' | 'update' | 'keep' | 'only-in-aws' | 'missing' | 'unknown'
  /** AWS's live version. */
  versionId: string | null
  error: ReportedError | null
}

/** What is to be done to move the env file's secrets to AWS. */
export interface MigrationPlan {
  environment: Environment
  /** ISO 8601, UTC. */
  plannedAt: string
  /** The env file; `null` where none is configured. */
  file: string | null
  /** Every secret is in AWS, and the file has no other value. */
  complete: boolean
  phases: Record<MigrationPhase, PlannedSecret[]>
  /** Names of the file that no secret can have. */
  skippedNames: string[]
}

/** What became of a secret. Never its value. */
export interface AppliedSecret {
  name: string
  phase: MigrationPhase
  /** `kept`: AWS had the value. `different`: it has another, and `overwrite` is not set. `absent`: the file has none. */
  outcome: 'created' | 'updated' | 'kept' | 'different' | 'absent' | 'failed'
  versionId: string | null
  /** Why it failed; with another outcome, what was left undone (a cache that was not told, a record not written). */
  error: ReportedError | null
}

/** How far an `apply` is. */
export interface MigrationProgress {
  done: number
  total: number
  secret: AppliedSecret
}

/** Options of `migration.apply`. */
export interface ApplyOptions extends MigrationScope {
  /** Gives a secret that differs the file's value. Default `false`. */
  overwrite?: boolean
  /** Called for each secret that is done. */
  onProgress?: (progress: MigrationProgress) => void
}

/** What an `apply` did. */
export interface ApplyReport {
  environment: Environment
  /** ISO 8601, UTC. */
  appliedAt: string
  /** Nothing failed and nothing is different. */
  complete: boolean
  secrets: AppliedSecret[]
}

/** Options of `migration.retire`. */
export interface RetireOptions extends MigrationScope {
  /** What is left of an assignment: `# moved to AWS: NAME`, or nothing. Default `'comment'`. */
  mode?: 'comment' | 'remove'
}

/** A secret that was to leave the env file. */
export interface RetiredSecret {
  name: string
  outcome: 'retired' | 'different' | 'not-in-aws' | 'absent' | 'failed'
  versionId: string | null
  /** Lines of the new file where the value still stands: comments, or values of other secrets. */
  stillInLines: number[]
  error: ReportedError | null
}

/** What a `retire` did. */
export interface RetireReport {
  environment: Environment
  file: string
  /** What the file was before; `null` when it was left alone. */
  backup: string | null
  secrets: RetiredSecret[]
}

/** What a `rollback` did. */
export interface RollbackReport {
  environment: Environment
  file: string
  backup: string
  /** What the file was until now; `null` when it was the backup already, or not there. */
  replaced: string | null
}

/** Moves secrets from the env file to AWS; see docs/migration.md. Each command may be interrupted and run again. */
export interface SecretMigrationManager {
  /** Compares the env file with AWS; changes nothing. @throws ENV_FILE_INVALID, CONFIG_INVALID, CLOSED */
  plan(options?: MigrationScope): Promise<MigrationPlan>
  /**
   * Creates in AWS what only the file has, and reads it back. A secret that fails is told in its entry: a value over
   * 65,536 bytes as SOURCE_RESPONSE_INVALID.
   * @throws as `plan`
   */
  apply(options?: ApplyOptions): Promise<ApplyReport>
  /**
   * Takes out of the file what AWS has with the same value now, after a backup (`<file>.<time>.bak`, mode 0600).
   * @throws ENV_FILE_INVALID when the file cannot be edited or changed meanwhile; as `plan`
   */
  retire(options?: RetireOptions): Promise<RetireReport>
  /**
   * Puts the newest backup back, or the one given by its name; what it replaces is kept as `<file>.<time>.replaced`.
   * @throws ENV_FILE_INVALID when there is none
   */
  rollback(options?: { backup?: string }): Promise<RollbackReport>
}

/** One version of a secret. */
export interface SecretVersion {
  value: string
  versionId: string
  /** ISO 8601, UTC. */
  createdAt: string | null
}

/** The versions around the live one, by AWS's labels. */
export interface SecretVersions {
  current: SecretVersion | null
  previous: SecretVersion | null
  /** `null` unless a rotation is under way. */
  pending: SecretVersion | null
}

/** How `withSecret` goes on after a failure. */
export interface WithSecretOptions {
  /**
   * Whether an error says that the credentials are wrong. Default: PostgreSQL 28P01 and 28000, MySQL 1045, MongoDB 18,
   * Redis WRONGPASS and NOAUTH, HTTP 401 and 403, also as a `cause`.
   */
  isAuthError?: (error: unknown) => boolean
  /** How long another value is looked for, in milliseconds. Default `10000`. */
  timeoutMs?: number
}

/** Counters since construction. */
export interface MetricsSnapshot {
  /** Values returned, by where they came from. */
  secretsRetrieved: Record<SecretSource, number>
  /** Reads that ended in `null`. */
  absent: number
  /** Cache lookups on the way to a value. */
  cacheHits: number
  cacheMisses: number
  /** hits ÷ lookups, 0 to 1; `null` before the first lookup. */
  cacheHitRate: number | null
  /** Share of retrievals that cost no AWS call of their own, 0 to 1; `null` before the first. */
  cacheEfficiency: number | null
  /** Secrets that AWS lacks and a later source had when they were last read. */
  secretsNotInAws: number
  cacheEntries: number
  staleServed: number
  /** Refreshes begun in the background before a copy's TTL ended, or to find out whether AWS is back. */
  backgroundRefreshes: number
  unauthorizedAccess: number
  /** Rejections by code. */
  errors: Partial<Record<SecretErrorCode, number>>
  /** Calls by AWS operation and outcome. */
  awsCalls: Record<string, { ok: number; denied: number; failed: number }>
  /** Rotations by how they ended, AWS's own included where an event tells of their failure. */
  rotations: Record<RotationReport['outcome'], number>
  /** Retrievals reported through `recordSecretRetrieval`. */
  recorded: { count: number; failures: number; totalLatencyMs: number }
}

/** A metric as `prom-client` holds it. */
export interface PromClientMetric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  aggregator: string
  values: { labels: Record<string, string | number>; value: number; metricName?: string }[]
}

/** What `prom-client`'s `Registry.merge` asks of a registry. */
export interface PromClientRegistry {
  readonly contentType: 'text/plain; version=0.0.4; charset=utf-8'
  getMetricsAsArray(): {
    name: string
    help: string
    type: PromClientMetric['type']
    aggregator: string
    get(): Promise<PromClientMetric | undefined>
  }[]
  getMetricsAsJSON(): Promise<PromClientMetric[]>
  getSingleMetric(name: string): ReturnType<PromClientRegistry['getMetricsAsArray']>[number] | undefined
  metrics(): Promise<string>
}

/** A documented threshold was crossed, or is no longer. */
export interface Alert {
  metric: 'retrieval-latency' | 'cache-hit-rate' | 'rotation-failures' | 'unauthorized-access' | 'secrets-not-in-aws'
  state: 'firing' | 'resolved'
  environment: Environment
  /** What was measured: seconds (the bound of the bucket that the 99th percentile is in), a ratio, or a count. */
  value: number | null
  threshold: number
  /** The documented action. */
  action: string
  /** Since when it is, or was, crossed. ISO 8601, UTC. */
  since: string
  /** When that was found out. */
  at: string
}

/** Counters, and the documented way to add to them. */
export interface MetricsCollector {
  /** @param latency Milliseconds. */
  recordSecretRetrieval(secretName: string, source: string, latency: number, success: boolean): Promise<void>
  snapshot(): MetricsSnapshot
  /** All metrics as Prometheus text; see docs/observability.md. No label holds a secret's name. */
  prometheus(): string
  readonly contentType: string
  /** The same in the OpenMetrics format. */
  openMetrics(): string
  readonly openMetricsContentType: string
  /**
   * All metrics for a service that has `prom-client`: `Registry.merge([register, delivery.metrics.registry()])`.
   * @typeParam Registry Where prom-client's own type is expected, that one: its class has methods that `merge` never
   *   calls and that are not here. Default: what is here.
   */
  registry<Registry = PromClientRegistry>(): Registry
}

/**
 * Delivers secrets: AWS Secrets Manager first, then the env file, then the runtime environment, with an in-process
 * cache over a shared one.
 *
 * With tools whose names are known when compiling (`defineTools`, or written into the options), other names do not
 * compile; `SecretDelivery` without a type argument takes any name. Types know the declared spelling, although case does
 * not matter when running.
 *
 * @example
 * const delivery = new SecretDelivery()
 * const token = await delivery.getToolSecret('github', 'api_token')
 */
export class SecretDelivery<T extends Tools = Tools> {
  /**
   * Synchronous, no I/O.
   * @throws CONFIG_INVALID, ENCRYPTION_KEY_INVALID
   */
  constructor(options?: SecretDeliveryOptions & { tools?: T & KnownMembers<T> })
  readonly environment: Environment
  readonly cache: SecretCache
  readonly metrics: MetricsCollector
  readonly rotation: SecretRotationManager
  readonly migration: SecretMigrationManager

  /**
   * The secret `${TOOL}_${TYPE}` (upper-cased), or `null` when no source has it.
   * @throws SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, CLOSED
   */
  getToolSecret<Tool extends ToolName<T>>(toolName: Tool, secretType: SecretType<T, Tool>): Promise<string | null>
  /**
   * Every secret of a tool, by lower-cased type: the declared ones, or, for a tool without declared secrets, every
   * name that starts with `${TOOL}_` in any source.
   * @throws as `getToolSecret`
   */
  getToolSecrets<Tool extends ToolName<T>>(toolName: Tool): Promise<ToolSecrets<T, Tool>>
  /** The secret `secretName`, as given. @throws as `getToolSecret` */
  getSecret(secretName: string): Promise<string | null>
  /** What AWS has now; no cache, no other source. @param environment Default: this delivery's. */
  getSecretFromAWS(secretName: string, environment?: string): Promise<string | null>
  /** What the env file has now. @throws ENV_FILE_INVALID */
  getSecretFromEnvFile(secretName: string): Promise<string | null>
  /** What the runtime environment has now. */
  getSecretFromRuntime(secretName: string): Promise<string | null>
  /** Reads anew, past the caches, and replaces the cached copies. */
  refresh(secretName: string): Promise<string | null>
  /** Which layer answers for a secret now, and why. Changes nothing; never holds the value. */
  explain(secretName: string): Promise<SecretExplanation>
  /**
   * Whether the secrets of a tool are there and look right: what is declared, and what is hardly ever meant
   * (placeholders, white space or quotes around a value, tokens and certificates that end, late rotations).
   * @param options `otherEnvironments`: whether they have the same value in AWS; needs permission to read there
   *   (`NOT_COMPARED`).
   */
  validateToolSecrets(toolName: ToolName<T>, options?: { otherEnvironments?: string[] }): Promise<ValidationResult>
  /**
   * Called when a secret turns out to have another version than the one known before. Names are lower-cased.
   * @returns A function that unsubscribes.
   */
  onSecretRotated(callback: (toolName: string, secretType: string) => void): () => void
  /** The documented form of `rotation.rotate`: `true` when the new value is live. */
  rotateSecret(secretName: string, environment: string): Promise<boolean>
  /**
   * Runs `use` with the secret. When it fails because the credentials are wrong, reads anew and runs it again, with the
   * pending and the previous version as well where the target is ahead of AWS or behind it. What `use` throws otherwise
   * is thrown.
   * @throws as `getToolSecret`; SOURCE_UNAVAILABLE when no source has the secret
   */
  withSecret<Result, Tool extends ToolName<T> = ToolName<T>>(
    toolName: Tool,
    secretType: SecretType<T, Tool>,
    use: (secret: string) => Promise<Result>,
    options?: WithSecretOptions,
  ): Promise<Result>
  /**
   * The live version, the one before it and the one that is being tried, for services that verify what others signed.
   * Remembered for up to a minute where caching is on. @throws as `getSecretFromAWS`
   */
  getSecretVersions(secretName: string): Promise<SecretVersions>
  /**
   * Follows an event of AWS (EventBridge's `Secret Label Updated`, or CloudTrail's, as an object or JSON text): when it
   * resolves, every cache has the version that it announced. `true` when it concerned this environment.
   * @throws SOURCE_RESPONSE_INVALID for what is no event; SOURCE_UNAVAILABLE, SOURCE_TIMEOUT: hand it over again
   */
  handleSecretEvent(event: unknown): Promise<boolean>
  /**
   * Called when a documented threshold is crossed and when that is over. Where nobody listens, production warns (`ALERT`).
   * @returns A function that unsubscribes.
   */
  onAlert(callback: (alert: Alert) => void): () => void
  /**
   * Whether each declared secret can be read from AWS with this identity, and which permissions it has. Writes nothing.
   * @throws CONFIG_INVALID where AWS is switched off
   */
  validateSecretAccess(options?: MigrationScope): Promise<AccessValidationResult>
  /**
   * Whether the env file and AWS agree, for each declared secret and each name in the file.
   * @throws as `migration.plan`
   */
  validateSecretConsistency(options?: MigrationScope): Promise<ValidationResult>
  /** Whether each declared secret resolves, and looks right, the way the service will read it. */
  validateApplicationFunctionality(options?: FunctionalityOptions): Promise<ValidationResult>
  /** Latency of each layer, measured on the declared secrets. */
  assessPerformanceImpact(): Promise<PerformanceMetrics>
  /** State of every source and cache, with the reason. Never rejects, except with CLOSED. */
  health(): Promise<HealthReport>
  /** Stops everything, wipes cached values and rejects what is under way with CLOSED. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What the verification of an audit log found. */
export interface AuditVerification {
  /** No fault of any kind. */
  valid: boolean
  /** No record was changed, removed, inserted or moved. A torn end, as a power cut leaves it, is not tampering. */
  untampered: boolean
  /** The first fault. */
  fault: {
    kind: 'changed' | 'removed' | 'inserted' | 'reordered' | 'bad-checkpoint' | 'torn-tail'
    file: string
    /** From 1. */
    line: number
    byteOffset: number
    message: string
  } | null
  files: number
  bytes: number
  /** The number of the first record; above 1 when older files are elsewhere. */
  firstSequence: number
  lastSequence: number
  /** The state file beside the log confirms that nothing is missing at the end. */
  endConfirmed: boolean
  /** Journals of ended processes whose records are not in the log yet; opening the log takes them over. */
  unrecoveredJournals: number
  outcomes: { ok: number; absent: number; denied: number; failed: number }
}

/**
 * Verifies an audit log with the files that were rotated away from it; may run while it is written.
 * @throws SOURCE_UNAVAILABLE when it cannot be read; CONFIG_INVALID
 */
export function verifyAuditLog(path: string, options?: { key?: string | Uint8Array }): Promise<AuditVerification>

/** The documented preset of an environment. @throws CONFIG_INVALID */
export function environmentDefaults(environment: string): EnvironmentDefaults

/**
 * Returns `tools` as they are, and lets TypeScript know their names: with `new SecretDelivery({ tools })`, a tool or a
 * secret type that is not declared does not compile.
 *
 * @example
 * const tools = defineTools({ github: { secrets: { api_token: { required: true } } } })
 * const delivery = new SecretDelivery({ tools })
 */
export function defineTools<T extends Tools>(tools: T & KnownMembers<T>): T
