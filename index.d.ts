declare global {
  // For services that compile without the library `esnext.disposable`; the same declaration as there.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
  }
  // For services that compile without Node's types; with them it is theirs.
  namespace NodeJS {
    /** A stream of Node.js; `@types/node` says what it has. */
    interface ReadWriteStream {}
  }
}

/** An environment of a service's own. */
export interface OwnEnvironment {
  /** The environment whose preset it has. */
  like: Environment
}

/** What an option may be to have its default, beside being left out. */
export type Unset = null | undefined

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
 * | `ROLE_NOT_ASSUMED` | STS refused the role that secrets are to be read as (`assumeRole`) |
 * | `SOURCE_UNAVAILABLE` | a source failed: network, throttling, 5xx, credentials, an unreadable file |
 * | `SOURCE_TIMEOUT` | a source did not answer within its deadline |
 * | `SOURCE_RESPONSE_INVALID` | a source answered with something that is not a secret |
 * | `ENV_FILE_INVALID` | the env file exists and cannot be used |
 * | `CACHE_UNAVAILABLE` | the shared cache did not carry out `cache.invalidate`, `cache.clear` or `cache.set` |
 * | `CACHE_ENTRY_CORRUPT` | an entry of the shared cache was unreadable (only `explain` reports it; reads go on to AWS) |
 * | `ENCRYPTION_KEY_INVALID` | a cache key is missing where it is required, malformed or given twice |
 * | `SECRET_MISSING` | a required secret is in no source |
 * | `SECRET_CHANGED` | another version is live than the one that was to be replaced; nothing was written |
 * | `ROTATION_FAILED` | a rotation failed, and the old value is still live |
 * | `ROTATION_ROLLED_BACK` | a rotation made the new value live and then took it back |
 * | `AUDIT_WRITE_FAILED` | the audit record could not be written |
 * | `ABORTED` | the signal of the read ended it; `cause` is the signal's reason |
 * | `CLOSED` | the delivery was closed |
 */
export type SecretErrorCode =
  | 'CONFIG_INVALID'
  | 'SECRET_NAME_INVALID'
  | 'SECRET_ACCESS_DENIED'
  | 'ROLE_NOT_ASSUMED'
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_TIMEOUT'
  | 'SOURCE_RESPONSE_INVALID'
  | 'ENV_FILE_INVALID'
  | 'CACHE_UNAVAILABLE'
  | 'CACHE_ENTRY_CORRUPT'
  | 'ENCRYPTION_KEY_INVALID'
  | 'SECRET_MISSING'
  | 'COMPLIANCE_NOT_MET'
  | 'SECRET_CHANGED'
  | 'ROTATION_FAILED'
  | 'ROTATION_ROLLED_BACK'
  | 'AUDIT_WRITE_FAILED'
  | 'ABORTED'
  | 'CLOSED'

/** Every error of this package. Its message names the secret and the reason, never a value. */
export class SecretError extends Error {
  /** Always `'SecretError'`. */
  readonly name: 'SecretError'
  /** The stable code of the error: compare this and not the message. */
  readonly code: SecretErrorCode
  /** AWS's id of the request that failed, which CloudTrail has as `requestID`. Unset where AWS did not answer. */
  readonly requestId?: string
  /** What was below it, where that is known. */
  readonly cause?: SecretErrorCause
  /** What `JSON.stringify` writes: name, code, message, `requestId` and `cause`. */
  toJSON(): Record<string, unknown>
}

/** What was below a `SecretError`: a failure of the network, with Node's code for it, or an answer of AWS or Redis. */
export interface SecretErrorCause extends Error {
  /**
   * Of the network: `ENOTFOUND`, `EAI_AGAIN`, `ECONNREFUSED`, `ECONNRESET`, `ETIMEDOUT`, `EHOSTUNREACH`,
   * `UNABLE_TO_GET_ISSUER_CERT_LOCALLY`, `DEPTH_ZERO_SELF_SIGNED_CERT`, `CERT_HAS_EXPIRED`, `ERR_TLS_CERT_ALTNAME_INVALID`,
   * `EPROTO`, `ERR_PROXY_TUNNEL` and others. Else AWS's or Redis's own code, such as `AccessDeniedException` or `WRONGPASS`.
   */
  readonly code: string
  /** The host that could not be reached. */
  readonly host?: string
  /** Its port. */
  readonly port?: number
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
  | 'secretsmanager:DeleteSecret'
  | 'secretsmanager:RestoreSecret'
  | 'kms:Decrypt'
  | 'kms:GenerateDataKey'

/** An error in a report. Its message names the secret and the reason, never a value. */
export interface ReportedError {
  /** The stable code of the error. */
  code: SecretErrorCode
  /** Names the secret and the reason, never a value. */
  message: string
  /** The permission that is missing, where AWS named it. */
  action?: AwsAction
}

/** A secret as it stands in AWS: any name or ARN, the field of a JSON secret, another version than the live one. */
export interface SecretReference {
  /**
   * The name of the secret, its ARN, or its ARN without the random ending. `{environment}` stands for the environment's name;
   * `#` and a field may follow.
   */
  id: string
  /** The field of a JSON secret: the exact key, else a path of keys with dots between them. Default: the whole secret. */
  field?: string | Unset
  /** A staging label, such as `AWSPREVIOUS`. Default: `AWSCURRENT`, the live version. */
  versionStage?: string | Unset
  /**
   * The role that this secret is read as, with credentials, connections and limits of its own, such as a role in the secret's
   * account. It is assumed by the identity of the delivery, which is that of `aws.assumeRole` where it is given. Default: the
   * identity of the delivery.
   */
  assumeRole?: AssumeRole | Unset
}

/**
 * A role that is assumed before AWS is asked. Its sessions are renewed in the background before they end. When STS refuses the
 * role, reads reject with `ROLE_NOT_ASSUMED`, and no copy answers; while STS fails, stale copies may.
 */
export interface AssumeRole {
  /** The ARN of the role, such as `arn:aws:iam::123456789012:role/secrets-reader`. */
  roleArn: string
  /** How CloudTrail names the session. 2 to 64 letters, digits and `_+=,.@-`. Default: `AWS_ROLE_SESSION_NAME`, `tcs-secret-delivery`. */
  sessionName?: string | Unset
  /** The external id that the role's trust policy demands. */
  externalId?: string | Unset
  /** How long a session lasts; one hour at most where the role is assumed by a role. In seconds, 900 to 43200. Default: `3600`. */
  durationSeconds?: number | Unset
  /** The source identity, which CloudTrail shows for everything that the session does. */
  sourceIdentity?: string | Unset
  /** Tags of the session, up to 50, which policies may compare with those of secrets. */
  tags?: Readonly<Record<string, string>> | Unset
}

/**
 * Where AWS has a secret: `'prod/github/token'`, `'rds!db-1111#password'`, an ARN, an object, or one of these for each
 * environment.
 */
export type AwsPlace = string | SecretReference | ByEnvironment

/** A place in AWS for each environment, by its name. The environment of a delivery must be among them: else `CONFIG_INVALID`. */
export interface ByEnvironment {
  readonly [environment: string]: string | SecretReference | undefined
}

/** An `AbortSignal`; its type is written out for services that compile without the library `dom` and without Node's types. */
export interface ReadSignal {
  /** Whether it was aborted. */
  readonly aborted: boolean
  /** Why it was aborted: the `cause` of `ABORTED`. */
  readonly reason: any
  /** Calls `listener` when it is aborted. */
  addEventListener(type: 'abort', listener: () => void): void
  /** Calls it no more. */
  removeEventListener(type: 'abort', listener: () => void): void
}

/** What one read may ask for itself. Reads of the same secret by others go on. */
export interface ReadOptions {
  /** Ends the wait: the read rejects with `ABORTED`, whose `cause` is the signal's reason. Default: none. */
  signal?: ReadSignal | Unset
  /** Deadline of this read: it rejects with `SOURCE_TIMEOUT`. In milliseconds, 1 to 600000. Default: `aws.timeoutMs` and the deadlines of the other sources. */
  timeoutMs?: number | Unset
  /**
   * A copy that is older does not answer, also while AWS fails. `0` asks AWS each time. In seconds. Default: `cache.ttlSeconds`, and
   * `cache.maxStaleSeconds` more while AWS fails.
   */
  maxAgeSeconds?: number | Unset
}

/** What a declared secret must look like; checked by `validateToolSecrets`. */
export interface SecretSpec {
  /**
   * A read of it rejects with `SECRET_MISSING` where no source has it, and validation reports an error instead of a warning.
   * Default: `false`.
   */
  required?: boolean | Unset
  /** A regular expression that must match some part of the value (Rust syntax: no look-around, no back-references). */
  pattern?: string | Unset
  /** Minimum length of the value. In characters. */
  minLength?: number | Unset
  /** The value must be a JSON object with these fields; `[]` accepts any JSON. Default: `false`. */
  json?: readonly string[] | false | Unset
  /** Which rotation policy applies. A type without a policy follows the environment's interval. */
  rotationType?: string | Unset
  /**
   * `'generate'`: a random text may take the place of the value, also by the scheduler and without hooks. Right for a secret
   * that only this service knows, such as a session key. Default: only hooks and people replace it.
   */
  rotate?: 'generate' | Unset
  /**
   * The phase in which the secret is [moved to AWS](docs/migration.md). Default: `'critical'` for the tools database,
   * db, redis and session, else `'tool'`.
   */
  phase?: 'critical' | 'tool' | 'other' | Unset
  /**
   * [The secret in AWS](docs/references.md): a name or an ARN, and `#` with a field of a JSON secret. Default: the tool's
   * `aws` with the type as the field, else `aws.secretIdTemplate`.
   */
  aws?: AwsPlace | Unset
}

/** The secrets of one tool, by secret type (`api_token`). */
export interface ToolSpec {
  /** One JSON secret for the tool, with a field for each type. Default: each type is a secret of its own. */
  aws?: AwsPlace | Unset
  /** The tool's secrets. As an object by type. */
  secrets?: Record<string, SecretSpec> | Unset
}

/** Tools by name. */
export type Tools = Record<string, ToolSpec>

/**
 * `T` with an unusable type in place of each member that `ToolSpec` or `SecretSpec` does not have: a misspelt one does not compile,
 * and the compiler's error lists the right ones.
 */
export type KnownMembers<T> = {
  [Tool in keyof T]: {
    [Member in keyof T[Tool]]: Member extends 'secrets'
      ? KnownRules<T[Tool][Member]>
      : Member extends 'aws'
        ? AwsPlace | Unset
        : Refused<`'${Member & string}' is not a member of a tool; there are 'secrets' and 'aws'`>
  }
}

/** The secrets of a tool with an unusable type in place of each rule that `SecretSpec` does not have. */
export type KnownRules<Secrets> = Secrets extends Unset
  ? Secrets
  : {
      [Type in keyof Secrets]: {
        [Rule in keyof Secrets[Type]]: Rule extends keyof SecretSpec
          ? SecretSpec[Rule]
          : Refused<`'${Rule & string}' is not a rule; the rules are ${RuleNames}`>
      }
    }

/** What no value is: the compiler shows the text in its error. */
export interface Refused<Text extends string> {
  /** What is wrong. */
  readonly refused: Text
}

/** The rules of a secret, for the error of a misspelt one. */
export type RuleNames = 'required, pattern, minLength, json, rotationType, rotate, phase, aws'

/** The declared names of tools; any text if the tools are not known at compile time. */
export type ToolName<T> = keyof T & string

/** The declared secret types of a tool; any text for a tool that declares none. */
export type SecretType<T, Tool extends keyof T> = T[Tool] extends { secrets: infer Secrets }
  ? keyof Secrets & string
  : string

/** The secrets of a tool by lower-cased type: those that are declared with `required: true` are there. */
export type ToolSecrets<T, Tool extends keyof T> =
  string extends SecretType<T, Tool>
    ? Record<string, string>
    : Flat<
        {
          [
            Type in SecretType<T, Tool> as SpecOf<T, Tool, Type> extends { readonly required: true }
              ? Lowercase<Type>
              : never
          ]: string
        } & {
          [
            Type in SecretType<T, Tool> as SpecOf<T, Tool, Type> extends { readonly required: true }
              ? never
              : Lowercase<Type>
          ]?: string
        }
      >

/** The members of several types as those of one. */
type Flat<T> = { [Key in keyof T]: T[Key] }

/** The rules of a declared secret; `SecretSpec` for one that is not declared. */
export type SpecOf<T, Tool extends keyof T, Type> = T[Tool] extends { secrets: infer Secrets }
  ? Type extends keyof Secrets
    ? Secrets[Type]
    : SecretSpec
  : SecretSpec

/** What a read of a secret gives: never `null` where it is declared with `required: true`. */
export type SecretText<T, Tool extends keyof T, Type> =
  SpecOf<T, Tool, Type> extends { readonly required: true } ? string : string | null

/** What the bytes of a secret are: never `null` where it is declared with `required: true`. */
export type SecretBytes<T, Tool extends keyof T, Type> =
  SpecOf<T, Tool, Type> extends { readonly required: true } ? Uint8Array : Uint8Array | null

/** What a secret is as JSON: `Value`, where it is given, else an object with the declared `json` fields. */
export type SecretJson<T, Tool extends keyof T, Type, Value> =
  | ([Value] extends [never]
      ? SpecOf<T, Tool, Type> extends { readonly json: readonly (infer Field extends string)[] }
        ? { [Key in Field]: unknown } & Record<string, unknown>
        : unknown
      : Value)
  | (SpecOf<T, Tool, Type> extends { readonly required: true } ? never : null)

/** Explicit AWS credentials, instead of the standard chain. */
export interface AwsCredentials {
  /** The id of the access key, such as `AKIA…`. */
  accessKeyId: string
  /** The secret part of the access key. */
  secretAccessKey: string
  /** For temporary credentials. */
  sessionToken?: string | Unset
  /**
   * When they end, as a provider of AWS's SDK says it. Nobody renews them: once this has passed, reads that need AWS reject, so give the
   * provider itself, which is a function, where it is at hand. Default: they do not end.
   */
  expiration?: Date | string | number | Unset
  /** Not used: what a provider of AWS's SDK resolves to has it. */
  accountId?: string | Unset
  /** Not used: what a provider of AWS's SDK resolves to has it. */
  credentialScope?: string | Unset
}

/** What a function that gives AWS credentials resolves to. The credentials of AWS's own SDK fit. */
export interface AwsTemporaryCredentials extends AwsCredentials {
  /** When they end: a date, or a text or number that `new Date()` takes. Unset: they are asked for again after 15 minutes. */
  expiration?: Date | string | number | Unset
}

/** Who AWS takes a process for. */
export interface AwsIdentity {
  /** The account's number, such as `123456789012`. */
  account: string
  /** The ARN of the user, or of the session of a role. */
  arn: string
}

/** A secret that AWS has: its name and fields, never its value. */
export interface FoundSecret {
  /** Its name in AWS. */
  awsId: string
  /**
   * What its value is: a text, a JSON object, bytes, nothing (no version, or an empty one), or unread, where `error` says why.
   */
  form: 'text' | 'json' | 'bytes' | 'nothing' | 'unread'
  /** The keys of a JSON object whose values are neither `null` nor empty, in their order, 200 at most. */
  fields: string[]
  /** The AWS service that owns it, such as `rds`, and alone may write it. */
  owningService: string | null
  /** Whether AWS rotates it. */
  rotatedByAws: boolean
  /** Why its value could not be read, such as `SECRET_ACCESS_DENIED`. */
  error: ReportedError | null
}

/** A region that holds replicas. */
export interface FailoverRegion {
  /** The region of the replica. */
  region: string
  /** The endpoint of that region. As a URL. Default: AWS. */
  endpoint?: string | Unset
}

/** AWS Secrets Manager. */
export interface AwsOptions {
  /** With `false` AWS is never asked and counts as having no secret. Default: `true`. */
  enabled?: boolean | Unset
  /** The AWS region. Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile. */
  region?: string | Unset
  /**
   * Another endpoint, such as a VPC endpoint or a local stand-in. As a URL. Default: `AWS_ENDPOINT_URL_SECRETS_MANAGER`,
   * `AWS_ENDPOINT_URL`, AWS.
   */
  endpoint?: string | Unset
  /**
   * Profile in AWS's shared configuration files. It counts before `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Default:
   * `AWS_PROFILE`, `default`.
   */
  profile?: string | Unset
  /**
   * Explicit credentials, or a function that gives them, such as one of `@aws-sdk/credential-providers`. The function is
   * called at the first request, and again in the background 5 minutes before its `expiration`, or after 15 minutes where it
   * gives none. Credentials that a provider resolved to are taken as well, until they end. The standard chain is: variables,
   * profile, SSO, web identity, container, instance metadata. Default: the standard chain.
   */
  credentials?: AwsCredentials | (() => Promise<AwsTemporaryCredentials>) | Unset
  /**
   * The role that AWS is asked as: for secrets, the event queue and writes. The credentials above assume it, in the STS of the
   * delivery's region (`AWS_ENDPOINT_URL_STS` names another one; for an `endpoint` on this machine, that one). A reference may name a
   * role of its own. Default: no role.
   */
  assumeRole?: AssumeRole | Unset
  /**
   * Certificate authorities to trust for AWS instead of all others: PEM text, or the path of a PEM file. Where it cannot be
   * used, the next one counts. Default: `AWS_CA_BUNDLE`, `ca_bundle` of the profile, `SSL_CERT_FILE`, Mozilla's and the
   * system's; `NODE_EXTRA_CA_CERTS` is always added.
   */
  ca?: string | Unset
  /**
   * The proxy for AWS (`http://`, `https://`, `socks5h://`, `socks5://`, `socks4://`), with `user:password@` where it wants one; `false`:
   * none, whatever the variables say. Hosts of `NO_PROXY` and services that give the machine's credentials are asked without it. As a URL.
   * Default: `HTTPS_PROXY`, or `HTTP_PROXY` for an `http://` endpoint, else `ALL_PROXY`.
   */
  proxy?: string | false | Unset
  /** Uses AWS's FIPS endpoints. Not together with `endpoint`. Default: `AWS_USE_FIPS_ENDPOINT`, the profile. */
  useFipsEndpoint?: boolean | Unset
  /** Uses AWS's dual-stack endpoints (IPv6). Not together with `endpoint`. Default: `AWS_USE_DUALSTACK_ENDPOINT`, the profile. */
  useDualstackEndpoint?: boolean | Unset
  /**
   * Deadline for one read, including credentials, connection and retries. In milliseconds, 1 to 600000. Default:
   * `4500`.
   */
  timeoutMs?: number | Unset
  /** Deadline for opening a connection. In milliseconds, 1 to 600000. Default: `1000`. */
  connectTimeoutMs?: number | Unset
  /** How often one read may call AWS, including the first attempt. Calls that AWS throttled do not count. 1 to 10. Default: `3`. */
  maxAttempts?: number | Unset
  /** Rate limit for this process, including retries. 1 to 1000000. Default: `200`. */
  requestsPerSecond?: number | Unset
  /**
   * With `false` secrets are read one by one, and tools whose secrets are not declared are not found in AWS: for identities that
   * an organization's policy denies `BatchGetSecretValue`. Default: `true`.
   */
  batch?: boolean | Unset
  /**
   * Regions with replicas. When a region fails, the next one is asked. Only a value from a replica counts; "not found"
   * or "denied" there says nothing about the primary. Default: `[]`.
   */
  failoverRegions?: readonly (string | FailoverRegion)[] | Unset
  /**
   * How a secret name becomes a secret in AWS: `{name}` once, or tool and type once each (`{tool}`, `{type}`, `{TOOL}`,
   * `{TYPE}`), and `{environment}`. What follows a `#` is the field of a JSON secret: `'{environment}/{tool}#{type}'` is one
   * secret for each tool. Default: `'{name}_{environment}'`.
   */
  secretIdTemplate?: string | Unset
}

/** A region that gets replicas of new secrets. */
export interface ReplicaRegion {
  /** The region of the replica. */
  region: string
  /** The key that encrypts the replica. Default: the key of AWS. */
  kmsKeyId?: string | Unset
}

/** What secrets get that a migration makes in AWS. */
export interface MigrationOptions {
  /** The key that encrypts them: ARN, id or alias. Readers in other accounts need the ARN. Default: the key of AWS. */
  kmsKeyId?: string | Unset
  /** Their description. Default: none. */
  description?: string | Unset
  /** Their tags, beside those of this package, which say who manages a secret, its environment and its tool. As an object by key. */
  tags?: Readonly<Record<string, string>> | Unset
  /** Regions that get replicas. Default: `[]`. */
  replicaRegions?: readonly (string | ReplicaRegion)[] | Unset
}

/** The env file. */
export interface EnvFileOptions {
  /**
   * File name or path, or a list of them: the first file that has a name gives its value. A file that is named here is
   * used in production too. Default: `.env.dev`, `.env.test`, `.env.staging`.
   */
  path?: string | readonly string[] | Unset
  /** Directory that a relative path starts from. Default: the working directory. */
  directory?: string | Unset
  /**
   * `'dotenv'` parses as npm `dotenv` does. `'dotenvy'` parses as the Rust crate does, which substitutes `$VAR`.
   * Default: `'dotenv'`.
   */
  syntax?: 'dotenv' | 'dotenvy' | Unset
}

/** The runtime environment: process variables, `NAME_FILE`, Docker secrets, Kubernetes mounts. */
export interface RuntimeOptions {
  /** `'override'`: the runtime environment is asked before AWS and its caches. Default: `'last'`. */
  precedence?: 'last' | 'override' | Unset
  /** Used instead of `process.env`. Default: `process.env`, at each read that needs it. */
  variables?: Readonly<Record<string, string | undefined>> | Unset
  /** Directories with mounted secrets, searched in order. Default: `['/run/secrets']`. */
  secretDirectories?: readonly string[] | Unset
}

/** A key for values in the shared cache. */
export interface EncryptionKey {
  /** Name of the key, stored with each entry. 1 to 64 letters, digits, `_`, `.`, `-`. */
  id: string
  /** 32 random bytes, or their base64 text. */
  key: string | Uint8Array
}

/** Certificates for TLS connections to Redis. */
export interface RedisTls {
  /**
   * Certificate authorities to trust instead of all others: PEM text, or the path of a PEM file. Default: `SSL_CERT_FILE`,
   * Mozilla's and the system's; `NODE_EXTRA_CA_CERTS` is added to these.
   */
  ca?: string | Unset
  /** Client certificate; needs `key`. As PEM. */
  cert?: string | Unset
  /** Client key; needs `cert`. As PEM. */
  key?: string | Unset
}

/** Who one is for the Sentinels of Redis. */
export interface RedisSentinelUser {
  /** The name of an ACL user. */
  username?: string | Unset
  /** Its password. Unset: the Sentinels want none. */
  password?: string | Unset
}

/** The shared cache. */
export interface RedisOptions {
  /**
   * `redis://`, `rediss://` (TLS), `redis+cluster://host:port,host:port`,
   * `redis+sentinel://host:port,host:port/service`; the last two also with `rediss+`. Put `user:password@` before the
   * first host. As a URL. Default: `REDIS_URL`.
   */
  url?: string | Unset
  /** Prefix of each key, before the AWS account, the region and the AWS id. Default: `'secret:'`. */
  keyPrefix?: string | Unset
  /** Certificates for TLS connections (`rediss`). Default: Mozilla's and the system's root certificates. */
  tls?: RedisTls | Unset
  /**
   * User and password for the Sentinels, where they have others than Redis; `{}`: they want none. Default: those of the
   * URL.
   */
  sentinel?: RedisSentinelUser | Unset
}

/** The caches: a bounded one in the process, and a shared one in Redis behind it. */
export interface CacheOptions {
  /** How long a copy is fresh. In seconds, 1 to 8640000. Default: 60 in test, 300 in staging and production. */
  ttlSeconds?: number | Unset
  /** Maximum number of entries in the in-process cache. 1 to 10000000. Default: `10000`. */
  maxEntries?: number | Unset
  /**
   * How long past its TTL a copy may answer while AWS fails. In seconds, 0 to 8640000. Default: 3600 in staging and
   * production, else 0.
   */
  maxStaleSeconds?: number | Unset
  /** How long this process remembers "not in AWS" and "access denied". In seconds, 0 to 8640000. Default: `5`. */
  negativeTtlSeconds?: number | Unset
  /**
   * With Redis: how often this process asks AWS itself for each secret that it takes from the copies of other instances, so
   * that a revoked right ends; no copy is served for longer without asking. `false`: never. In seconds, 1 to 8640000.
   * Default: `86400`.
   */
  accessCheckSeconds?: number | false | Unset
  /**
   * Refreshes a copy in the background when it is read in the last fifth of its TTL, so that no reader of a hot secret
   * waits for AWS. Default: `true`.
   */
  refreshAhead?: boolean | Unset
  /**
   * A file with encrypted last-known-good copies (mode 0600), so that a process can start while AWS and Redis are both
   * down. Needs `encryptionKeys`. Copies answer only the AWS account and region that they are of.
   */
  snapshotPath?: string | Unset
  /** `false` turns the shared cache off, even if `REDIS_URL` is set. Default: the one at `REDIS_URL`, if set. */
  redis?: RedisOptions | false | Unset
  /**
   * Keys for the entries in Redis: the first encrypts, all decrypt. Required with Redis in staging and production.
   * Default: `TCS_CACHE_KEYS`.
   */
  encryptionKeys?: readonly EncryptionKey[] | Unset
}

/** The documented rotation policy, and how generated values look. */
export interface SecretRotationPolicy {
  /** The `rotationType` of the declared secrets that this policy applies to. */
  secretType: string
  /** Time from one rotation to the next. In days, 1 to 3650. */
  rotationInterval: number
  /** Time of day of the rotation. As `HH:MM` UTC. Default: `'02:00'`. */
  rotationTime?: string | Unset
  /** How many days ahead `rotation.onNotice` announces the rotation. In days, 0 to 3650. Default: `0`. */
  notificationDays?: number | Unset
  /** Whether the old value is made live again when the `verify` hook refuses the new one. Default: `true`. */
  rollbackEnabled?: boolean | Unset
  /** Length of a generated value. In characters, 8 to 1024. Default: `32`. */
  passwordLength?: number | Unset
  /** Characters of a generated value: at least 10, each listed once. Default: letters and digits. */
  passwordAlphabet?: string | Unset
  /** The field of a JSON secret that a rotation replaces. Default: `'password'`. */
  passwordField?: string | Unset
}

/** The global `AbortSignal`, where the compiler knows it. */
export type HookSignal = typeof globalThis extends {
  AbortSignal: {
    /** What each signal is. */
    prototype: infer Signal
  }
}
  ? Signal
  : { readonly aborted: boolean; readonly reason: unknown; throwIfAborted(): void }

/** What a rotation hook receives. The values are methods, so that printing the context does not print them. */
export interface RotationContext {
  /** Name of the secret, such as `DATABASE_PASSWORD`. */
  readonly name: string
  /** The environment whose secret is rotated. */
  readonly environment: Environment
  /** Id of the secret in AWS, such as `DATABASE_PASSWORD_production`. */
  readonly awsId: string
  /** Lower-cased; `null` when the name has no type part. */
  readonly tool: string | null
  /** The part of the name after the tool, lower-cased; `null` when the name has no type part. */
  readonly secretType: string | null
  /** The declared `rotationType` of the secret; `null` when it has none. */
  readonly rotationType: string | null
  /** Id of the version that was live when the rotation began; in `undo` of the one that is live. */
  readonly previousVersionId: string
  /** `null` in `create`. */
  readonly versionId: string | null
  /**
   * Aborted when `hookTimeoutMs` has passed, and by `close()`. A hook that ends then tells which value the target system
   * has; until it ends, no other instance calls hooks for this secret.
   */
  readonly signal: HookSignal
  /** The value that was live when the rotation began; in `undo` the one that is live, which another writer may have put. */
  currentValue(): string
  /** The new value. @throws CLOSED in `create`, and after the hook ended. */
  newValue(): string
}

/**
 * Functions of the service that a rotation calls. If a hook throws, the rotation ends; reports repeat only the class of
 * the error and a plain `code`. After a crash a rotation continues where it stopped, so a hook may be called again with
 * the same value.
 */
export interface RotationHooks {
  /** Makes the new value. Default: a generated one, where the old one looks like a password. */
  create?: ((context: RotationContext) => Promise<string> | string) | Unset
  /** Applies the new value to the target system. Runs in one instance at a time. */
  set?: ((context: RotationContext) => Promise<void> | void) | Unset
  /** Tries the new value before it is live. It is refused by throwing, or by returning `false`. */
  test?: ((context: RotationContext) => Promise<void> | void) | Unset
  /** Checks the value after it became live. */
  verify?: ((context: RotationContext) => Promise<void> | void) | Unset
  /**
   * Restores the live value (`currentValue()`) in the target system. Without this hook, a value that was `set` and then refused stays
   * AWSPENDING, and the next rotation tries it again.
   */
  undo?: ((context: RotationContext) => Promise<void> | void) | Unset
}

/** Rotation. */
export interface RotationOptions {
  /** How often secrets without a policy of their own are rotated. Default: `'manual'` in development, `'bi-weekly'` in staging, else `'weekly'`. */
  interval?: 'manual' | 'weekly' | 'bi-weekly' | Unset
  /**
   * Added to the three default policies. A policy for one of the default types replaces only the fields it gives.
   * Default: `database-credentials`, `api-tokens`, `oauth-credentials`.
   */
  policies?: readonly SecretRotationPolicy[] | Unset
  /** Functions of the service that a rotation calls: `create`, `set`, `test`, `verify`, `undo`. Default: none. */
  hooks?: RotationHooks | Unset
  /**
   * Hooks of single declared secrets, by name, such as `{ DATABASE_PASSWORD: postgres(…) }`: for these, in place of `hooks`. `{}` or
   * `null`: the secret has none. Default: none.
   */
  hooksOf?: Readonly<Record<string, RotationHooks | Unset>> | Unset
  /** Deadline for each call of a hook. In milliseconds, 1 to 900000. Default: `30000`. */
  hookTimeoutMs?: number | Unset
  /**
   * Time over which `rotation.start()` spreads rotations that are due at the same moment. In seconds, 0 to 86400.
   * Default: `300`.
   */
  jitterSeconds?: number | Unset
  /** Where passwords come from: random numbers of this machine, or AWS's `GetRandomPassword`. Default: `'local'`. */
  generator?: 'local' | 'aws' | Unset
}

/** How this instance learns of changed secrets, in addition to `handleSecretEvent`. */
export interface EventsOptions {
  /** An SQS queue that EventBridge writes to. Use one queue for each service and environment. */
  sqsQueueUrl?: string | Unset
  /**
   * How often secrets that this instance knows, and has not fetched for that long, are compared with their version in
   * AWS. In seconds, 1 to 86400. Default: `900` with a queue or a callback of `onSecretRotated`, else never.
   */
  pollSeconds?: number | Unset
}

/** The audit log, which accounts for each value before it is delivered. See docs/audit.md. */
export interface AuditOptions {
  /**
   * A file, or `'stdout'`, which `'/dev/stdout'` means as well. Default: `TCS_AUDIT_LOG`, else `'secret-audit.jsonl'` in the
   * working directory; in test a file in the system's temporary directory.
   */
  path?: string | Unset
  /**
   * `'counted'` writes one record a second for the cached reads of one version, with their number; `'each'` writes a
   * record for each of them. Default: `'counted'`; `'each'` on standard output, whose readers count lines.
   */
  hits?: 'counted' | 'each' | Unset
  /**
   * `'deny'` refuses secrets while records cannot be written; `'warn'` delivers them with a warning, and does not wait
   * for the log. Default: `'deny'` in staging and production, else `'warn'`.
   */
  onFailure?: 'deny' | 'warn' | Unset
  /** Receives whole lines, in order, instead of the file. If it throws, the same lines are offered again. */
  sink?: ((lines: string) => Promise<void> | void) | Unset
  /**
   * Key that makes every link of the chain an HMAC: at least 16 random bytes, or their base64 text. Default:
   * `TCS_AUDIT_KEY`, else none.
   */
  key?: string | Uint8Array | Unset
  /** Size in MiB at which a new file is started. 1 to 1048576. Default: `256`. */
  maxMegabytes?: number | Unset
  /** Age in hours at which a new file is started. 1 to 8760. Default: `24` with `keepDays`, else never. */
  rotateHours?: number | Unset
  /**
   * Days after its end at which an older file is deleted, which a record in the log says. 1 to 36500. Default: never.
   */
  keepDays?: number | Unset
  /** Label that every record carries as `caller`. Up to 255 bytes. */
  label?: string | Unset
  /**
   * Name of the program in the records that say who writes; further words are its command. Default: the script's name.
   */
  program?: string | Unset
  /**
   * Directory where records wait until they are written. Default: beside the file; without a file, `TMPDIR`, else `/tmp` or
   * `/dev/shm`, whichever can be written to (Windows: the user's temporary directory).
   */
  journalDirectory?: string | Unset
}

/** When `onAlert` is called. A threshold that is `false` is not watched. */
export interface AlertOptions {
  /** Fires when the 99th percentile of retrieval times is longer, in seconds. 0.001 to 600. Default: `5`. */
  latencySeconds?: number | false | Unset
  /** Fires when caches answer a smaller share of lookups. 0 to 1. Default: `0.8` in production, else not watched. */
  minHitRate?: number | false | Unset
  /** Fires when more rotations failed within a day. 0 to 1000000. Default: `0`. */
  rotationFailuresPerDay?: number | false | Unset
  /** Fires when AWS refused this identity more often. 0 to 1000000. Default: `0`. */
  unauthorizedAccess?: number | false | Unset
  /** Fires when more secrets are missing in AWS and have a value in a later source. 0 to 1000000. Default: `0`. */
  secretsNotInAws?: number | false | Unset
  /** Period that the thresholds look back over, except for rotations. In seconds, 1 to 86400. Default: `300`. */
  windowSeconds?: number | Unset
  /** How often the thresholds are checked. In seconds, 1 to 86400. Default: `10`. */
  intervalSeconds?: number | Unset
}

/** Receives warnings and, if it can, internal activity. `console`, pino and winston loggers fit. */
export interface SecretLogger {
  /** Receives each warning, as `CODE: message`. */
  warn(message: string): void
  /** Receives what happens rarely, such as a rotation. Default: `log`, where the logger has that. */
  info?(message: string): void
  /** Receives what `info` would, where the logger has no `info` (Nest). */
  log?(message: string): void
  /** Receives what happens often, such as each call to AWS. */
  debug?(message: string): void
}

/** All options; each has a default, and `new SecretDelivery()` works in development. */
export interface SecretDeliveryOptions {
  /** Chooses the [preset](docs/behaviour.md#environments). Default: `TCS_ENVIRONMENT`, `NODE_ENV`, `'development'`. */
  environment?: Environment | 'dev' | 'stage' | 'prod' | (string & {}) | Unset
  /**
   * Declares environments beyond the four: each has the preset of the one that it is `like`, its own name in AWS ids, and the
   * env file `.env.<name>` (none where it is like production). As an object by name.
   */
  environments?: Record<string, OwnEnvironment> | Unset
  /**
   * Declares tools. A declared tool is read in batches without `ListSecrets`, is checked by validations, and owns its
   * names: with `git_hub` declared, `git` never sees `GIT_HUB_TOKEN`. As an object by tool.
   */
  tools?: Record<string, ToolSpec> | Unset
  /**
   * Declares secrets whose names have no tool, such as `SENDGRID`. They are read with `getSecret`. As an object by name.
   */
  secrets?: Record<string, SecretSpec> | Unset
  /** AWS Secrets Manager. */
  aws?: AwsOptions | Unset
  /** `false` turns the env file off. Default: the preset's file. */
  envFile?: EnvFileOptions | false | Unset
  /** The runtime environment: process variables and mounted secrets. */
  runtime?: RuntimeOptions | Unset
  /** `false` turns caching off. `true` or an object turns it on, in development too. Default: off in development, else on. */
  cache?: CacheOptions | boolean | Unset
  /** What secrets get that a migration makes in AWS. */
  migration?: MigrationOptions | Unset
  /** See [Rotation](docs/rotation.md). A text is its `interval`. */
  rotation?: 'manual' | 'weekly' | 'bi-weekly' | RotationOptions | Unset
  /** How this instance learns of secrets that change elsewhere. */
  events?: EventsOptions | Unset
  /** When `onAlert` is called. `false` turns all alerts off; a threshold that is `false` turns off one. */
  alerts?: AlertOptions | false | Unset
  /**
   * The [audit log](docs/audit.md), which accounts for each value before it is delivered. `true` turns it on, in
   * development too. Default: off in development, on elsewhere.
   */
  audit?: AuditOptions | boolean | Unset
  /**
   * How much internal activity is logged. Warnings are always logged. Default: the `level` of a pino or winston logger,
   * else `'warn'`.
   */
  logLevel?: 'debug' | 'info' | 'warn' | 'silent' | Unset
  /**
   * Where warnings go. `console`, pino and winston loggers fit. As an object with `warn(message)`. Default:
   * `process.emitWarning`.
   */
  logger?: SecretLogger | Unset
  /**
   * The profile of [compliance](docs/compliance.md). A text watches: what is not met costs one warning, and is in
   * `compliance()`. An object with `enforce: true` makes the constructor throw `COMPLIANCE_NOT_MET` instead. `false`: nothing is
   * looked at. Default: `'soc2'` in staging and production.
   */
  compliance?: 'soc2' | ComplianceOptions | false | Unset
  /**
   * Hands the [metrics](docs/observability.md) to the process's OpenTelemetry meter provider, and puts the labels `environment` and
   * `service` into every metric. Default: `true` in production.
   */
  monitoring?: boolean | Unset
  /** Whether the thresholds of `alerts` are watched before a callback is registered; `false` turns all alerts off. Default: `true` in production. */
  alerting?: boolean | Unset
  /** Whether values in Redis have to be encrypted. Default: `true` in staging and production. */
  encryption?: boolean | Unset
  /** The first source, which there is only one of. Default: `'aws-secrets-manager'`. */
  source?: 'aws-secrets-manager' | Unset
  /** File name or path of the env file, in the words of the specification; `null`: none. Default: the preset's file. */
  fallback?: string | Unset
}

/** A profile of compliance that is enforced, or waived in parts. */
export interface ComplianceOptions {
  /** The profile, of which there is one. Default: `'soc2'`. */
  profile?: 'soc2' | Unset
  /** Whether the constructor throws `COMPLIANCE_NOT_MET` for what the configuration alone shows. Default: `false`. */
  enforce?: boolean | Unset
  /** Reasons why a control need not be met. The audit log and every report repeat them. As an object by control. */
  waive?: Record<string, string> | Unset
}

/** A control of a profile, and how it stands. */
export interface ComplianceControl {
  /** Its id, such as `redis-tls`. */
  control: string
  /** Trust Services Criteria that it serves, in this package's reading. */
  criteria: string[]
  /** `waived`: not met, with a reason. */
  state: 'met' | 'not-met' | 'waived' | 'not-applicable'
  /** The option, the variable or the place that decides it. */
  setting: string
  /** What was looked at, and found. */
  evidence: string[]
  /** What to do; `null` where nothing has to be done. */
  remedy: string | null
  /** The reason of its waiver. */
  waiver: string | null
}

/** The result of `compliance()`. */
export interface ComplianceReport {
  /** `null`: nothing is looked at. */
  profile: 'soc2' | null
  /** The environment. */
  environment: string
  /** Whether the configuration's controls are enforced. */
  enforced: boolean
  /** When it was made, in ISO 8601. */
  checkedAt: string
  /** Whether no control is `not-met`. */
  met: boolean
  /** Every control of the profile. */
  controls: ComplianceControl[]
}

/** The defaults of an environment, used where no option is given. */
export interface EnvironmentDefaults {
  /** The environment that these defaults are for. */
  environment: Environment
  /** The first source of every environment. */
  source: 'aws-secrets-manager'
  /** `null`: no env file. */
  fallback: string | null
  /** Whether using the env file causes a warning. */
  fallbackDeprecated: boolean
  /** Whether copies of values are cached. */
  cache: boolean
  /** How long a copy is fresh, in seconds; `null` where nothing is cached. */
  cacheTtlSeconds: number | null
  /** How long past its TTL a copy may answer while AWS fails, in seconds. */
  maxStaleSeconds: number
  /** Whether there is an audit log. */
  audit: boolean
  /** How often secrets without a policy of their own are rotated. */
  rotation: 'manual' | 'weekly' | 'bi-weekly'
  /** Days between two rotations; `null` where secrets are rotated by hand. */
  rotationIntervalDays: number | null
  /** Whether values in Redis have to be encrypted. */
  encryption: boolean
  /** The compliance profile; `null` where there is none. */
  compliance: 'soc2' | null
  /** Whether the documented preset asks for monitoring. */
  monitoring: boolean
  /** Whether the documented preset asks for alerts. */
  alerting: boolean
  /** What a read does when AWS fails and no stale copy is usable. */
  onAwsFailure: 'next-source' | 'reject'
}

/** Access to both caches, memory and Redis. */
export interface SecretCache {
  /** The fresh cached value, or `null`. Never asks AWS. */
  get(secretName: string): Promise<string | null>
  /** @param ttlSeconds Default: the configured TTL. @throws CONFIG_INVALID unless a whole number above 0. */
  set(secretName: string, value: string, ttlSeconds?: number): Promise<void>
  /**
   * Drops the copies in memory and in Redis; other instances that share the Redis follow.
   * @throws CACHE_UNAVAILABLE when Redis did not drop its copy
   */
  invalidate(secretName: string): Promise<void>
  /** Drops every cached copy of this environment. @throws CACHE_UNAVAILABLE when Redis did not drop its copies */
  clear(): Promise<void>
}

/** One problem a validation found. */
export interface ValidationIssue {
  /** The kind of problem. */
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
    | 'JSON_FIELD_EMPTY'
    | 'NOT_IN_AWS'
    | 'DIFFERENT'
    | 'ONLY_IN_ENV_FILE'
    | 'SOURCE_ERROR'
    | 'CHECK_FAILED'
  /** An `error` makes the result invalid, a `warning` does not. */
  severity: 'error' | 'warning'
  /** Names the secret and the reason, never a value. */
  message: string
  /** The permission that is missing, where AWS named it. */
  action?: AwsAction
}

/** What a validation found out about one secret. */
export interface ValidatedSecret {
  /** Name of the secret. */
  name: string
  /** Lower-cased; `null` when the name has no type part. */
  secretType: string | null
  /** Whether some source has the secret. */
  present: boolean
  /** The source that has it; `null` when none has. */
  source: SecretSource | null
  /** Id of the version in AWS; `null` when the value is from another source. */
  versionId: string | null
  /** Age of the version in AWS. */
  ageSeconds: number | null
  /** The problems of this secret; empty when there are none. */
  issues: ValidationIssue[]
}

/** The result of a validation. `valid` is true when no issue has severity `error`. */
export interface ValidationResult {
  /** Whether no issue has severity `error`. */
  valid: boolean
  /** `null` when all declared tools were checked. */
  tool: string | null
  /** The environment that was validated. */
  environment: Environment
  /** ISO 8601, UTC. */
  checkedAt: string
  /** One entry for each secret that was checked. */
  secrets: ValidatedSecret[]
  /** Results of the service's own checks, if `validateApplicationFunctionality` was given any. */
  checks?: CheckResult[]
}

/** The result of `validateSecretAccess`. */
export interface AccessValidationResult extends ValidationResult {
  /** One entry for each permission that the package uses. */
  permissions: PermissionState[]
}

/** Whether this identity has a permission, as far as AWS's answers show. */
export interface PermissionState {
  /** The action of AWS IAM. */
  action: AwsAction
  /**
   * `denied`: AWS refused the action for at least one secret. `unknown`: there was no secret to try it on, AWS did not
   * say which action it refused, or only a write would show it (then `migration.apply` names the missing permission).
   */
  state: 'granted' | 'denied' | 'unknown'
  /** The secrets that AWS refused it for; empty for an action that concerns no single secret. */
  refusedFor: string[]
}

/** The result of one of the service's own checks. */
export interface CheckResult {
  /** Name of the check, as it was given. */
  name: string
  /** Whether the check ended in time without throwing. */
  passed: boolean
  /** `CHECK_FAILED`, with only the class of the error and a plain `code`. */
  issue: ValidationIssue | null
}

/** Options of `validateApplicationFunctionality`. */
export interface FunctionalityOptions extends MigrationScope {
  /** The service's own checks, run one after the other. A check fails if it throws, returns `false`, or does not end in time. */
  checks?: Record<string, () => Promise<void> | void> | undefined
  /** Deadline for each check, in milliseconds. Default: `30000`. */
  timeoutMs?: number | undefined
}

/** Latencies of one layer, in milliseconds. */
export interface LatencySummary {
  /** The layer that was read. */
  layer: 'memory' | 'redis' | 'aws' | 'env-file'
  /** Number of reads that were measured. */
  reads: number
  /** The median, in milliseconds. */
  p50Ms: number
  /** The 95th percentile, in milliseconds. */
  p95Ms: number
  /** The 99th percentile, in milliseconds. */
  p99Ms: number
  /** Secrets that this layer could not give. They are not in the figures. */
  failures: ReadFailure[]
}

/** A secret that a layer could not give. */
export interface ReadFailure {
  /** The secret's name. */
  name: string
  /** The code of the error. */
  code: string
  /** What happened, and what to do. */
  message: string
}

/** How long reads take in each layer, compared with the bound of 5 seconds. */
export interface PerformanceMetrics {
  /** The environment whose secrets were read. */
  environment: Environment
  /** When the measurement ended. ISO 8601, UTC. */
  measuredAt: string
  /** One entry for each layer that has declared secrets. */
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
  /** The layer. */
  layer: SecretSource
  /** `skipped`: not asked, because an earlier layer had a fresh answer. */
  state: 'hit' | 'stale' | 'miss' | 'error' | 'disabled' | 'skipped'
  /** File path, process variable or AWS id, where there is one. */
  place: string | null
  /** Id of the version that this layer has; `null` when it has none, or does not know. */
  versionId: string | null
  /** Age of this layer's copy or version, in seconds; `null` when it has none. */
  ageSeconds: number | null
  /** ISO 8601, UTC. */
  freshUntil: string | null
  /** Until when the copy may answer while AWS fails. ISO 8601, UTC; `null` when it may not. */
  staleUntil: string | null
  /** From when on a read refreshes the copy in the background; `null` if nothing refreshes it. */
  refreshAt: string | null
  /** Why this layer failed; `null` when it did not. */
  error: ReportedError | null
}

/** Where the value of a secret comes from, and why. Never the value. */
export interface SecretExplanation {
  /** Name of the secret. */
  name: string
  /** The environment that the explanation is for. */
  environment: Environment
  /** Id of the secret in AWS. */
  awsId: string
  /** The field of the secret in AWS that it is; `null` for the whole secret. */
  field: string | null
  /** The layer whose value a read would return now; `null` if the read would return `null` or reject. */
  answeredBy: SecretSource | null
  /** Whether the value that a read would return is past its TTL. */
  stale: boolean
  /** Id of the version that a read would return; `null` when the answering layer knows none. */
  versionId: string | null
  /** The error a read would reject with now. */
  error: ReportedError | null
  /** In the order in which a read asks them. */
  layers: LayerExplanation[]
  /**
   * State of each breaker: `aws`, `aws:<region>`, `redis`, and for a reference's own role `aws:<region> as <role>`. `open`: not asked
   * at the moment.
   */
  breakers: Record<string, 'closed' | 'half-open' | 'open'>
  /**
   * Estimated cost of the secret in a month at AWS's list prices, if this instance alone reads it all the time; `null`
   * where nothing is cached, so that every read is a call.
   */
  estimate: {
    /** Calls to AWS in a month of 30 days. */
    awsCallsPerMonth: number
    /** Storage and calls in a month, in US dollars. */
    costPerMonthUsd: number
  } | null
}

/** State of one source or cache. */
export interface HealthCheck {
  /** `disabled`: switched off by an option or by the environment. */
  status: 'ok' | 'degraded' | 'down' | 'disabled'
  /** `null` when ok. */
  reason: string | null
}

/** State of every source and cache. `status` is the worst that matters to reads. */
export interface HealthReport {
  /** The worst state that matters to reads. */
  status: 'ok' | 'degraded' | 'down'
  /** The environment of this delivery. */
  environment: Environment
  /** ISO 8601, UTC. */
  checkedAt: string
  /** State of each source, each cache and the audit log. */
  checks: Record<'aws' | 'envFile' | 'runtime' | 'memory' | 'redis' | 'audit', HealthCheck>
}

/** Whether an instance should get traffic. */
export interface Readiness {
  /** `false` with the status `not-ready`. */
  ready: boolean
  /**
   * `ready`: every required declared secret can be delivered. `degraded`: the same, but from copies while AWS fails, or an
   * optional secret cannot be delivered. `not-ready`: a required one cannot be delivered. If no secret is required: no
   * source is usable.
   */
  status: 'ready' | 'degraded' | 'not-ready'
  /** Each thing that fails, as a sentence with the name of the secret. Empty with the status `ready`. */
  reasons: string[]
}

/** The report of a rotation: how it ended, and each step. Never a value. */
export interface RotationReport {
  /** Name of the secret. */
  name: string
  /** The environment whose secret was rotated. */
  environment: Environment
  /** Id of the secret in AWS. */
  awsId: string
  /** The declared `rotationType` of the secret; `null` when it has none. */
  rotationType: string | null
  /**
   * `finished`: the new value is live. `unverified`: the new value is live although `verify` refused it, because the
   * policy does not roll back. `failed`: the old value is live. `rolled-back`: the new value was live for a moment, and
   * the old value is live again.
   */
  outcome: 'finished' | 'unverified' | 'failed' | 'rolled-back'
  /** Whether it continued an interrupted rotation with the same value. */
  resumed: boolean
  /** Whether AWS did it, which rotates this secret by a schedule of its own. */
  byAws: boolean
  /** Whether another instance did it at the same time. */
  byAnotherInstance: boolean
  /** ISO 8601, UTC. */
  startedAt: string
  /** ISO 8601, UTC. */
  endedAt: string
  /** The steps that were taken, in order. */
  steps: {
    /** The step: a hook of this name, or the change of labels in AWS (`finish`, `rollback`). */
    step: 'create' | 'set' | 'test' | 'finish' | 'verify' | 'undo' | 'rollback'
    /** ISO 8601, UTC. */
    startedAt: string
    /** How long the step took, in milliseconds. */
    durationMs: number
    /** Why the step failed; `null` when it succeeded. */
    error: ReportedError | null
  }[]
  /** Id of the version that was live before; `null` when that is not known. */
  previousVersionId: string | null
  /** Id of the new version; `null` when none was made. */
  versionId: string | null
  /** `ROTATION_FAILED` or `ROTATION_ROLLED_BACK`, with the reason. */
  error: ReportedError | null
}

/** When a declared secret is due for rotation. */
export interface RotationDue {
  /** Name of the secret. */
  name: string
  /** Lower-cased tool; `null` when the name has no type part. */
  tool: string | null
  /** Lower-cased secret type; `null` when the name has no type part. */
  secretType: string | null
  /** The declared `rotationType` of the secret; `null` when it has none. */
  rotationType: string | null
  /** The `secretType` of the policy that applies; `null`: the environment's interval applies. */
  policy: string | null
  /**
   * `manual`: secrets are rotated by hand in this environment. `unknown`: AWS has no such secret, or did not answer.
   */
  state: 'due' | 'announced' | 'later' | 'manual' | 'unknown'
  /** Id of the live version; `null` when AWS has none, or did not answer. */
  versionId: string | null
  /** When the live version was created. ISO 8601, UTC. */
  rotatedAt: string | null
  /** From when on the rotation is announced. ISO 8601, UTC; `null` when it has no date. */
  noticeAt: string | null
  /** When the rotation is due. ISO 8601, UTC; `null` when it has no date. */
  dueAt: string | null
  /**
   * Who rotates it then. `scheduler`: `rotation.start()`. `hand`: people, for the reason in `why`. `aws`: AWS, by a
   * schedule of its own, whose date `dueAt` is. `null` when AWS has no such secret, or did not answer.
   */
  by: 'scheduler' | 'hand' | 'aws' | null
  /** Why it is left to people; `null` when it is not. */
  why: string | null
  /** Why AWS could not be asked, or why a rotation will fail; `null` otherwise. */
  error: ReportedError | null
}

/** A rotation that is announced for a later date, or that has ended. */
export type RotationNotice =
  | {
      /** A rotation will be due. */
      kind: 'announced'
      /** Name of the secret. */
      name: string
      /** Lower-cased tool; `null` when the name has no type part. */
      tool: string | null
      /** Lower-cased secret type; `null` when the name has no type part. */
      secretType: string | null
      /** The declared `rotationType` of the secret; `null` when it has none. */
      rotationType: string | null
      /** When the rotation is due. ISO 8601, UTC. */
      dueAt: string
      /** Whole days until the rotation is due. */
      daysLeft: number
      /** Who rotates it, as in `rotation.due()`. */
      by: 'scheduler' | 'hand' | 'aws'
      /** Why it is left to people; `null` when it is not. */
      why: string | null
    }
  | {
      /** A rotation ended. */
      kind: 'ended'
      /** How the rotation ended. */
      report: RotationReport
    }

/** Options of `rotation.rotate`. */
export interface RotateOptions {
  /**
   * `false`: refuse to generate a value that neither `rotate: 'generate'` nor a `set` or `create` hook speaks for.
   * Default: `true`.
   */
  generate?: boolean | Unset
}

/** Options of `rotation.restore`. */
export interface RestoreOptions {
  /** Id of the version in AWS, as in `previousVersionId` of a report. */
  versionId: string
  /** The environment whose secret is restored. Default: this delivery's. */
  environment?: string | Unset
}

/** Rotation. */
export interface SecretRotationManager {
  /** The policies in force, by type. */
  readonly policies: readonly {
    readonly [Member in keyof SecretRotationPolicy]-?: NonNullable<SecretRotationPolicy[Member]>
  }[]
  /**
   * Gives the secret a new value. The value is stored as AWSPENDING, set and tested by the hooks, made AWSCURRENT, and
   * verified by a hook. A rotation that fails resolves too; its report has the reason. What AWS rotates, AWS is asked to
   * rotate; what another service owns, and what no generated text may replace, is refused.
   * @param environment Default: this delivery's.
   * @throws CONFIG_INVALID, SECRET_NAME_INVALID, CLOSED
   */
  rotate(secretName: string, environment?: string, options?: RotateOptions): Promise<RotationReport>
  /**
   * Makes a version live again that AWS still has: its value goes through the hooks as a new one does, then AWSCURRENT
   * moves, and caches and `onSecretRotated` follow. Of a JSON secret only the field goes back. One that fails resolves too; its
   * report has the reason.
   * @throws CONFIG_INVALID, SECRET_NAME_INVALID, CLOSED
   */
  restore(secretName: string, options: RestoreOptions): Promise<RotationReport>
  /**
   * Gives the secret a new value and returns whether it is live.
   * @throws CONFIG_INVALID, SECRET_NAME_INVALID, CLOSED
   */
  rotateSecret(secretName: string, environment: string): Promise<boolean>
  /** All declared secrets, the earliest due first. */
  due(): Promise<RotationDue[]>
  /**
   * Starts the scheduler, which rotates declared secrets when they are due: those with `rotate: 'generate'`, and those with a
   * `rotationType` when there is a `set` or `create` hook. Others are announced only. With Redis, one instance of a fleet does so
   * at a time. In development it does nothing: returns `false` and warns with `ROTATION_MANUAL`.
   */
  start(): boolean
  /** Stops the scheduler. A rotation that has begun is finished. */
  stop(): void
  /** Called for announced and ended rotations. @returns A function that unsubscribes. */
  onNotice(callback: (notice: RotationNotice) => void): () => void
}

/** The phase of a migration in which a secret is moved to AWS. */
export type MigrationPhase = 'critical' | 'tool' | 'other'

/** Limits a migration command or validation. Default: everything that is declared or in the env file. */
export interface MigrationScope {
  /** Only the secrets of this phase. Default: all phases. */
  phase?: MigrationPhase | undefined
  /** Secret names, declared or not. */
  names?: readonly string[] | undefined
}

/** A secret of a plan. Never its value. */
export interface PlannedSecret {
  /** Name of the secret. */
  name: string
  /** The phase in which the secret is moved. */
  phase: MigrationPhase
  /**
   * `create`: only the file has it. `update`: AWS has another value. `keep`: AWS has the same value. `only-in-aws`:
   * only AWS has it. `missing`: neither has it. `unknown`: AWS did not answer, with the reason in `error`.
   */
  action: 'create' | 'update' | 'keep' | 'only-in-aws' | 'missing' | 'unknown'
  /** The live version in AWS. */
  versionId: string | null
  /** Why AWS did not answer; `null` when it did. */
  error: ReportedError | null
}

/** What is left to do to move the secrets of the env file to AWS. */
export interface MigrationPlan {
  /** The environment that the plan is for. */
  environment: Environment
  /** ISO 8601, UTC. */
  plannedAt: string
  /** The env file; `null` where none is configured. */
  file: string | null
  /** Whether every secret is in AWS and the file has no different value. */
  complete: boolean
  /** The secrets of each phase. */
  phases: Record<MigrationPhase, PlannedSecret[]>
  /** Names in the file that are not valid secret names. */
  skippedNames: string[]
}

/** What `apply` did with a secret. Never its value. */
export interface AppliedSecret {
  /** Name of the secret. */
  name: string
  /** The phase in which the secret is moved. */
  phase: MigrationPhase
  /**
   * `kept`: AWS already had the value. `different`: AWS has another value, and `overwrite` is not set. `absent`: the
   * file has no value.
   */
  outcome: 'created' | 'filled' | 'updated' | 'kept' | 'different' | 'absent' | 'failed'
  /** Id of the live version in AWS; `null` when AWS has none. */
  versionId: string | null
  /**
   * Why it failed. With another outcome: what was left undone, such as a cached copy not dropped or a record not
   * written.
   */
  error: ReportedError | null
}

/** Progress of an `apply`. */
export interface MigrationProgress {
  /** Number of secrets that are done. */
  done: number
  /** Number of secrets in all. */
  total: number
  /** The secret that was done last. */
  secret: AppliedSecret
}

/** Options of `migration.apply`. */
export interface ApplyOptions extends MigrationScope {
  /** Overwrites a different value in AWS with the one in the file. Default: `false`. */
  overwrite?: boolean | undefined
  /** Called after each secret. */
  onProgress?: ((progress: MigrationProgress) => void) | undefined
}

/** What an `apply` did. */
export interface ApplyReport {
  /** The environment that was applied to. */
  environment: Environment
  /** ISO 8601, UTC. */
  appliedAt: string
  /** Whether nothing failed and no value is different. */
  complete: boolean
  /** One entry for each secret. */
  secrets: AppliedSecret[]
}

/** Options of `migration.retire`. */
export interface RetireOptions extends MigrationScope {
  /** What replaces an assignment: the comment `# moved to AWS: NAME`, or nothing. Default: `'comment'`. */
  mode?: 'comment' | 'remove' | undefined
}

/** What `retire` did with a secret. Never its value. */
export interface RetiredSecret {
  /** Name of the secret. */
  name: string
  /**
   * `retired`: removed from the file. `different`, `not-in-aws`: kept, because AWS has another value or none.
   * `absent`: the file does not have it. `failed`: kept, with the reason in `error`.
   */
  outcome: 'retired' | 'different' | 'not-in-aws' | 'absent' | 'failed'
  /** Id of the live version in AWS; `null` when AWS has none, or did not answer. */
  versionId: string | null
  /** Lines of the new file that still contain the value: in comments, or in values of other secrets. */
  stillInLines: number[]
  /** Why it failed; `null` when it did not. */
  error: ReportedError | null
}

/** What a `retire` did. */
export interface RetireReport {
  /** The environment whose file was changed. */
  environment: Environment
  /** Path of the env file. */
  file: string
  /** The saved previous file; `null` if the file was not changed. */
  backup: string | null
  /** One entry for each secret. */
  secrets: RetiredSecret[]
}

/** What a `rollback` did. */
export interface RollbackReport {
  /** The environment whose file was restored. */
  environment: Environment
  /** Path of the env file. */
  file: string
  /** Path of the backup that was restored. */
  backup: string
  /** Where the replaced file was saved; `null` if it was identical to the backup, or did not exist. */
  replaced: string | null
}

/** Moves secrets from the env file to AWS; see docs/migration.md. Each command may be interrupted and run again. */
export interface SecretMigrationManager {
  /** Compares the env file with AWS; changes nothing. @throws ENV_FILE_INVALID, CONFIG_INVALID, CLOSED */
  plan(options?: MigrationScope): Promise<MigrationPlan>
  /**
   * Creates in AWS what only the file has, and reads it back. A failed secret has an `error` in its entry, such as
   * SOURCE_RESPONSE_INVALID for a value over 65,536 bytes.
   * @throws ENV_FILE_INVALID, CONFIG_INVALID, CLOSED
   */
  apply(options?: ApplyOptions): Promise<ApplyReport>
  /**
   * Removes from the file the secrets that AWS has with the same value, after a backup (`<file>.<time>.bak`, mode
   * 0600).
   * @throws ENV_FILE_INVALID when the file cannot be edited or changed meanwhile; CONFIG_INVALID, CLOSED
   */
  retire(options?: RetireOptions): Promise<RetireReport>
  /**
   * Restores the newest backup, or the named one. The replaced file is kept as `<file>.<time>.replaced`.
   * @throws ENV_FILE_INVALID when there is no backup
   */
  rollback(options?: {
    /** Path of the backup to restore. Default: the newest one. */
    backup?: string | undefined
  }): Promise<RollbackReport>
}

/** In which fields two JSON objects differ, by name. Never their values. */
export interface FieldChanges {
  /** Only the new value has them. */
  added: string[]
  /** Both have them, with other values. */
  changed: string[]
  /** Only the value in AWS has them. */
  removed: string[]
}

/** What `store.put` would do with a value. */
export interface ComparedSecret {
  /** Name of the secret. */
  name: string
  /** Its id in AWS; `''` for a name that cannot be written. */
  awsId: string
  /** The field of a JSON secret that the name is; `null` for a whole secret. */
  field: string | null
  /** `keep`: AWS has this value. `unknown`: AWS refused or failed, with the reason in `error`. */
  change: 'create' | 'update' | 'keep' | 'unknown'
  /** Id of the live version of the AWS secret, for `ifVersionId`; `null` where there is none. */
  versionId: string | null
  /** The fields that change; `null` unless both values are JSON objects. */
  fields: FieldChanges | null
  /** Why AWS refused or failed; `null` when it did not. */
  error: ReportedError | null
}

/** Options of `store.put`. */
export interface WriteOptions {
  /**
   * Writes only if this version of the AWS secret is live, or for `null` only if there is no such secret or field; else rejects with
   * SECRET_CHANGED. Default: whatever is live is replaced.
   */
  ifVersionId?: string | null | undefined
}

/** Options of `store.generate`. */
export interface GenerateOptions extends WriteOptions {
  /** Number of characters, from 8 to 4,096. Default: 32. */
  length?: number | undefined
  /** The characters that it is made of. Default: letters and digits. */
  alphabet?: string | undefined
}

/** Options of `store.delete`. */
export interface DeleteOptions extends WriteOptions {
  /** The days in which `undelete` brings it back, from 7 to 30. Not for fields. Default: 30. */
  recoveryDays?: number | undefined
}

/** What became of a secret. */
export interface StoreReport {
  /** Name of the secret. */
  name: string
  /** The environment whose secret it is. */
  environment: Environment
  /** Its id in AWS. */
  awsId: string
  /** The field of a JSON secret that the name is; `null` for a whole secret. */
  field: string | null
  /**
   * `created`, `updated`; `filled`: a secret without a value got its first one; `kept`: AWS has it so already. `scheduled`: AWS deletes it
   * at `deletedAt`; `removed`: the field was taken out; `restored`: it is no longer marked for deletion; `absent`: AWS has no such secret.
   */
  outcome: 'created' | 'filled' | 'updated' | 'kept' | 'scheduled' | 'removed' | 'restored' | 'absent'
  /** Id of the live version; `null` when there is none. */
  versionId: string | null
  /** Id of the version that was live before; `null` when there was none, or nothing changed. */
  previousVersionId: string | null
  /** When AWS deletes it: ISO 8601, UTC; `null` unless it was marked now and AWS said so. */
  deletedAt: string | null
}

/**
 * Compares, writes, deletes and brings back single secrets in AWS. A field of a JSON secret is written like a whole one, and every other
 * byte of the secret stays. Each change writes an audit record, and running services follow it as they follow a rotation.
 */
export interface SecretStore {
  /**
   * What AWS has now, in the form in which it has it: a string, or the bytes of a `SecretBinary`; `null` when it has none.
   * @param environment Default: this delivery's.
   * @throws SECRET_ACCESS_DENIED, SECRET_NAME_INVALID, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, CONFIG_INVALID,
   *   AUDIT_WRITE_FAILED, CLOSED
   */
  read(secretName: string, environment?: string): Promise<string | Uint8Array | null>
  /**
   * Compares values, by the names of their secrets, with AWS: twenty in a call. Changes nothing.
   * @throws SECRET_NAME_INVALID, CONFIG_INVALID, AUDIT_WRITE_FAILED, CLOSED
   */
  compare(values: Readonly<Record<string, string | Uint8Array>>): Promise<ComparedSecret[]>
  /**
   * Makes the secret or gives it a new version, and reads it back. Of two writers at once none overwrites the other. AWS gets a string
   * as `SecretString`, and bytes as `SecretBinary`.
   * @throws SECRET_CHANGED when `ifVersionId` is not live; SOURCE_RESPONSE_INVALID for an empty value or one over 65,536 bytes, and for a
   *   field of a secret that is no JSON object; SECRET_ACCESS_DENIED, also for what AWS or another service takes care of;
   *   SECRET_NAME_INVALID, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, CONFIG_INVALID, AUDIT_WRITE_FAILED, CLOSED
   */
  put(secretName: string, value: string | Uint8Array, options?: WriteOptions): Promise<StoreReport>
  /**
   * Gives a secret a random value, which is made in the addon and never a JavaScript string. No rotation hook is called: use
   * `rotation.rotate` where one has to hand the value to another system.
   * @throws SECRET_CHANGED when `ifVersionId` is not live; SOURCE_RESPONSE_INVALID where the live value is nothing that a random text may
   *   replace, such as a URL; SECRET_ACCESS_DENIED, SECRET_NAME_INVALID, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, CONFIG_INVALID,
   *   AUDIT_WRITE_FAILED, CLOSED
   */
  generate(secretName: string, options?: GenerateOptions): Promise<StoreReport>
  /**
   * Has AWS delete the secret after `recoveryDays`; it cannot be read from now on. A field is taken out of its secret at once.
   * @throws SECRET_CHANGED when `ifVersionId` is not live; SECRET_ACCESS_DENIED, SECRET_NAME_INVALID, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT,
   *   SOURCE_RESPONSE_INVALID, CONFIG_INVALID, AUDIT_WRITE_FAILED, CLOSED
   */
  delete(secretName: string, options?: DeleteOptions): Promise<StoreReport>
  /**
   * Takes the mark for deletion away.
   * @throws SECRET_ACCESS_DENIED, SECRET_NAME_INVALID, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, CONFIG_INVALID, AUDIT_WRITE_FAILED, CLOSED
   */
  undelete(secretName: string): Promise<StoreReport>
}

/** One version of a secret. */
export interface SecretVersion {
  /** The value of this version. */
  value: string
  /** Id of the version in AWS. */
  versionId: string
  /** ISO 8601, UTC. */
  createdAt: string | null
}

/** The live version of a secret, and those before and after it, by AWS's labels. */
export interface SecretVersions {
  /** The live version (`AWSCURRENT`); `null` when AWS has none. */
  current: SecretVersion | null
  /** The version that was live before (`AWSPREVIOUS`); `null` when there is none. */
  previous: SecretVersion | null
  /** `null` unless a rotation is under way. */
  pending: SecretVersion | null
}

/** Options of `withSecret`. */
export interface WithSecretOptions {
  /**
   * Whether an error means that the credentials are wrong. Default: what the drivers in the table of
   * [Rotation](docs/rotation.md) say, also as a `cause` or in an `AggregateError`.
   */
  isAuthError?: ((error: unknown) => boolean) | Unset
  /** How long `withSecret` tries other values, in milliseconds. Default: `10000`. */
  timeoutMs?: number | Unset
  /** Ends the wait, with `ABORTED`; no other value is tried then. The function that is being called goes on: give it the signal as well. */
  signal?: ReadSignal | Unset
}

/** Counters since construction. */
export interface MetricsSnapshot {
  /** Number of values returned, by source. */
  secretsRetrieved: Record<SecretSource, number>
  /** Number of reads that returned `null`. */
  absent: number
  /** Lookups that a cache answered. */
  cacheHits: number
  /** Lookups that no cache answered. */
  cacheMisses: number
  /** hits ÷ lookups, 0 to 1; `null` before the first lookup. */
  cacheHitRate: number | null
  /** Share of retrievals that cost no AWS call of their own, 0 to 1; `null` before the first retrieval. */
  cacheEfficiency: number | null
  /** Number of secrets that, when last read, were missing in AWS and found in a later source. */
  secretsNotInAws: number
  /** Number of entries in the in-process cache now. */
  cacheEntries: number
  /** Reads that a copy past its TTL answered because AWS failed. */
  staleServed: number
  /** Refreshes started in the background, before a copy's TTL ended or to find out whether AWS answers again. */
  backgroundRefreshes: number
  /** How often AWS refused access or decryption. */
  unauthorizedAccess: number
  /** Number of values that redactors replaced. */
  valuesRedacted: number
  /** Rejections by code. */
  errors: Partial<Record<SecretErrorCode, number>>
  /** Calls by AWS operation and outcome. */
  awsCalls: Record<
    string,
    {
      /** Calls that AWS answered. */
      ok: number
      /** Calls that AWS refused for want of a permission. */
      denied: number
      /** Calls that failed in another way. */
      failed: number
    }
  >
  /** Rotations by outcome; includes AWS's own rotations if an event reported their failure. */
  rotations: Record<RotationReport['outcome'], number>
  /** Retrievals reported through `recordSecretRetrieval`. */
  recorded: {
    /** Number of retrievals. */
    count: number
    /** Number of those that failed. */
    failures: number
    /** Sum of their latencies, in milliseconds. */
    totalLatencyMs: number
  }
}

/** A metric as `prom-client` holds it. */
export interface PromClientMetric {
  /** Name of the metric. */
  name: string
  /** Its description. */
  help: string
  /** Its type. */
  type: 'counter' | 'gauge' | 'histogram'
  /** How `prom-client` adds up the values of several workers. */
  aggregator: string
  /** Its samples. */
  values: {
    /** The labels of the sample. */
    labels: Record<string, string | number>
    /** The value of the sample. */
    value: number
    /** The name of the sample, where it differs from that of the metric (histograms). */
    metricName?: string
  }[]
}

/** What `prom-client`'s `Registry.merge` asks of a registry. */
export interface PromClientRegistry {
  /** The format that this registry is in. */
  readonly contentType:
    'text/plain; version=0.0.4; charset=utf-8' | 'application/openmetrics-text; version=1.0.0; charset=utf-8'
  /** All metrics. Each reads its samples when `get` is called. */
  getMetricsAsArray(): {
    /** Name of the metric. */
    name: string
    /** Its description. */
    help: string
    /** Its type. */
    type: PromClientMetric['type']
    /** How `prom-client` adds up the values of several workers. */
    aggregator: string
    /** The metric with its samples as they are now. */
    get(): Promise<PromClientMetric | undefined>
  }[]
  /** All metrics with their samples as they are now. */
  getMetricsAsJSON(): Promise<PromClientMetric[]>
  /** The metric of this name; `undefined` when there is none. */
  getSingleMetric(name: string): ReturnType<PromClientRegistry['getMetricsAsArray']>[number] | undefined
  /** All metrics as text, in this registry's format. */
  metrics(): Promise<string>
}

/** A threshold that was crossed, or is no longer crossed. */
export interface Alert {
  /** The metric that is watched. */
  metric:
    | 'retrieval-latency'
    | 'cache-hit-rate'
    | 'rotation-failures'
    | 'unauthorized-access'
    | 'secrets-not-in-aws'
    | 'secret-in-text'
  /** The secret whose value a redactor found (`secret-in-text`). `null` for all other metrics. */
  secret: string | null
  /** Whether the threshold is crossed now, or no longer. */
  state: 'firing' | 'resolved'
  /** The environment of this delivery. */
  environment: Environment
  /**
   * The measured value: seconds (the upper bound of the histogram bucket with the 99th percentile), a ratio, or a
   * count.
   */
  value: number | null
  /** The threshold, in the unit of `value`. */
  threshold: number
  /** What to do, such as `Alert DevOps`. */
  action: string
  /** Since when the threshold is, or was, crossed. ISO 8601, UTC. */
  since: string
  /** When this was noticed. */
  at: string
}

/** Options of `redactor`. */
export interface RedactorOptions {
  /** Names of secrets whose values stay, such as a host name that is kept as a secret. Default: none. */
  except?: readonly string[] | Unset
}

/** What a redactor looks for. */
export interface RedactorWatching {
  /** Number of values that are looked for, each in all its forms. */
  values: number
  /** The secrets whose values are not looked for. */
  leftOut: UnwatchedSecret[]
}

/** A secret whose value is not looked for. */
export interface UnwatchedSecret {
  /** Name of the secret. */
  secret: string
  /** `short`: fewer than 8 characters. `well-known`: a common word, or made of two different characters at most. */
  reason: 'short' | 'well-known'
}

/**
 * Replaces the values of secrets by `[secret NAME]`: values that the delivery holds or handed out since its first redactor was
 * made, and those that they replaced within the last hour. Finds them as they are, as JSON, URLs, HTML, shells and `util.inspect` write
 * them, in base64 at any alignment, in hexadecimal, as bytes, and a value with several lines also line by line. Works on after `close()`.
 */
export interface Redactor {
  /**
   * `value` without values of secrets. A text is searched as it is. Of an error (with `cause`, `errors` and stack), an object, an
   * array, a `Map`, a `Set` or bytes, a copy is made where there is something to replace; an instance of a class becomes a plain
   * object then, also where only its `toJSON()` shows a value. A number, a pattern or a function that holds one becomes a text.
   */
  redact<V>(value: V): V
  /**
   * A `Transform` over UTF-8 text that also finds a value which is cut by chunks. Text that may be the beginning of a value is
   * held back until the next chunk; when the stream ends inside a value, what came of it is replaced.
   */
  stream(): NodeJS.ReadWriteStream
  /**
   * Options for `pino()`: `options` with a `streamWrite` hook that searches each line (pino 9.2 and newer), and a formatter that
   * searches bytes before they become numbers. Those of `options` are called first.
   */
  pino<O extends object = Record<never, never>>(
    options?: O,
  ): O & {
    /** The formatters of `options` and this one. */
    formatters: {
      /** What is logged, without bytes that hold a value. */
      log: (object: Record<string, unknown>) => Record<string, unknown>
    }
    /** The hooks of `options` and this one. */
    hooks: {
      /** A line of the log without values. */
      streamWrite: (line: string) => string
    }
  }
  /** A format for winston. Put it last in `format.combine()`, behind the format that makes the text. */
  winston(): {
    /** The entry of the log without values. */
    transform<I>(info: I): I
  }
  /**
   * Has the methods of `console` write no value, until the returned function is called. Texts that are written past `console` (to
   * `process.stdout`) are not searched.
   */
  console(target?: object): () => void
  /** What is looked for, and what is not. */
  watching(): RedactorWatching
}

/** Options of `metrics.registry`. */
export interface RegistryOptions {
  /**
   * Whether the registry is in the OpenMetrics format: `prom-client` merges only registries of one format. Default
   * `false`.
   */
  openMetrics?: boolean | Unset
  /** Value of the label `delivery` of this delivery's samples. Default: no label, or `'default'` where there are others. */
  name?: string | Unset
  /**
   * Other deliveries of the process, whose samples are added with their names as the label `delivery`. Without this, the
   * metrics of two deliveries have the same names and cannot be merged. Default: none.
   */
  others?: Readonly<Record<string, SecretDelivery<any>>> | Unset
}

/** Counters of this delivery, and a way to add retrievals of your own. */
export interface MetricsCollector {
  /** @param latency Milliseconds. */
  recordSecretRetrieval(secretName: string, source: string, latency: number, success: boolean): Promise<void>
  /** The counters as they are now. */
  snapshot(): MetricsSnapshot
  /** All metrics as Prometheus text; see docs/observability.md. No label holds a secret's name. */
  prometheus(): string
  /** The content type of what `prometheus` returns. */
  readonly contentType: string
  /** All metrics as text in the OpenMetrics format. No label holds a secret's name. */
  openMetrics(): string
  /** The content type of what `openMetrics` returns. */
  readonly openMetricsContentType: string
  /**
   * All metrics for a service that has `prom-client`: `Registry.merge([register, delivery.metrics.registry()])`.
   * @typeParam Registry The type that the result should have. Give prom-client's own type where it is expected: its
   *   class has methods that `merge` never calls and that this object lacks. Default: `PromClientRegistry`.
   * @throws CONFIG_INVALID
   */
  registry<Registry = PromClientRegistry>(options?: RegistryOptions): Registry
}

/** The names that are declared in the options of a delivery. */
type DeclaredNames<T extends Tools, Own extends string> = {
  /** The declared tools, whose names TypeScript then knows. */
  tools?: (T & KnownMembers<T>) | Unset
  /** The declared environments, whose names TypeScript then knows. */
  environments?: { readonly [Name in Own]?: OwnEnvironment } | Unset
}

/** An environment whose name TypeScript does not know, such as that of a variable. */
type EnvironmentAtRunTime<Own extends string> = {
  /** One of the four, or a declared one. */
  environment?: (Own & (string extends Own ? unknown : never)) | Unset
}

/** An environment whose name TypeScript knows. */
type WrittenEnvironment<Own extends string> = {
  /** One of the four, or a declared one. */
  environment?:
    | Environment
    | 'dev'
    | 'stage'
    | 'prod'
    | (string extends Own ? never : [Own][Own extends unknown ? 0 : never])
    | Unset
}

/**
 * Delivers secrets. A read asks AWS Secrets Manager first, then the env file, then the runtime environment. An
 * in-process cache and a shared cache hold copies of what AWS gave.
 *
 * If the names of tools are known at compile time (through `defineTools`, or because they are written in the options),
 * other names do not compile. `SecretDelivery` without a type argument accepts any name. Types require the declared
 * spelling, although case does not matter at run time.
 *
 * @example
 * const delivery = new SecretDelivery()
 * const token = await delivery.getToolSecret('github', 'api_token')
 */
export class SecretDelivery<const T extends Tools = Tools, Own extends string = string> {
  /**
   * Synchronous, no I/O.
   * @throws CONFIG_INVALID, ENCRYPTION_KEY_INVALID
   */
  constructor(options?: SecretDeliveryOptions & DeclaredNames<T, Own> & EnvironmentAtRunTime<Own>)
  /**
   * With an environment that is written down: a name that is not declared does not compile. Synchronous, no I/O.
   * @throws CONFIG_INVALID, ENCRYPTION_KEY_INVALID
   */
  constructor(options?: SecretDeliveryOptions & DeclaredNames<T, Own> & WrittenEnvironment<Own>)
  /**
   * Makes a delivery from the configuration file `tcs-secrets.config.{json,js,mjs,cjs,ts}`, which the command line reads as well,
   * and from `options`, which go first, key by key; credentials, a role and a reference are taken as a whole. Reads what is
   * declared, twenty secrets in a call, so that the first reads find it in memory. While AWS throttles, as when many instances
   * start at once, or a gateway on the way answers with HTTP 500, 502, 503 or 504, it goes on reading required secrets for up to
   * 30 seconds.
   * @throws SECRET_MISSING, naming each required secret that no source has and where it was looked for; CONFIG_INVALID,
   *   ENCRYPTION_KEY_INVALID; SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID for
   *   a required secret
   */
  static open<const T extends Tools = Tools, Own extends string = string>(
    options?: SecretDeliveryOptions & DeclaredNames<T, Own> & EnvironmentAtRunTime<Own>,
  ): Promise<SecretDelivery<T, Own>>
  /**
   * With an environment that is written down: a name that is not declared does not compile. All else is as when it is known at run
   * time only.
   * @throws SECRET_MISSING, naming each required secret that no source has and where it was looked for; CONFIG_INVALID,
   *   ENCRYPTION_KEY_INVALID; SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID for
   *   a required secret
   */
  static open<const T extends Tools = Tools, Own extends string = string>(
    options?: SecretDeliveryOptions & DeclaredNames<T, Own> & WrittenEnvironment<Own>,
  ): Promise<SecretDelivery<T, Own>>
  /** The environment that this delivery reads the secrets of. */
  readonly environment: Environment | (string extends Own ? never : Own)
  /** The copies in memory and in Redis. */
  readonly cache: SecretCache
  /** Counters, and all metrics for Prometheus. */
  readonly metrics: MetricsCollector
  /** Rotates secrets, on demand or when they are due. */
  readonly rotation: SecretRotationManager
  /** Moves secrets from the env file to AWS. */
  readonly migration: SecretMigrationManager
  /** Compares, writes, deletes and brings back single secrets in AWS. */
  readonly store: SecretStore

  /**
   * The secret `${TOOL}_${TYPE}` (upper-cased), or `null` when no source has it.
   * @throws SECRET_MISSING, SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, ABORTED, CLOSED
   */
  getToolSecret<Tool extends ToolName<T>, Type extends SecretType<T, Tool>>(
    toolName: Tool,
    secretType: Type,
    options?: ReadOptions,
  ): Promise<SecretText<T, Tool, Type>>
  /**
   * The secret parsed as JSON, or `null` when no source has it. With `json: ['username']` declared its type has these fields.
   * @throws SOURCE_RESPONSE_INVALID when it is not JSON; SECRET_MISSING, SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, ENV_FILE_INVALID, ABORTED, CLOSED
   */
  getToolSecretJson<
    Value = never,
    Tool extends ToolName<T> = ToolName<T>,
    Type extends SecretType<T, Tool> = SecretType<T, Tool>,
  >(toolName: Tool, secretType: Type, options?: ReadOptions): Promise<SecretJson<T, Tool, Type, Value>>
  /**
   * The secret as bytes, in an array of the caller's own, or `null` when no source has it: those that AWS holds as `SecretBinary`
   * (whose `getToolSecret` is their base64 text), or a text, whatever source it comes from, as UTF-8.
   * @throws SECRET_MISSING, SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, ABORTED, CLOSED
   */
  getToolSecretBytes<Tool extends ToolName<T>, Type extends SecretType<T, Tool>>(
    toolName: Tool,
    secretType: Type,
    options?: ReadOptions,
  ): Promise<SecretBytes<T, Tool, Type>>
  /**
   * Every secret of a tool, by lower-cased type: the declared secrets or, for a tool without declared secrets, every
   * name that starts with `${TOOL}_` in any source.
   * @throws SECRET_MISSING, SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, ABORTED, CLOSED
   */
  getToolSecrets<Tool extends ToolName<T>>(toolName: Tool, options?: ReadOptions): Promise<ToolSecrets<T, Tool>>
  /**
   * The secret with exactly this name, or `null` when no source has it.
   * @throws SECRET_MISSING, SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, ABORTED, CLOSED
   */
  getSecret(secretName: string, options?: ReadOptions): Promise<string | null>
  /**
   * The value that AWS has now; no copy and no other source answers. Copies follow what AWS says, as after `refresh`.
   * @param secret A secret's name, or a reference, which need not be declared: an object, or a text with a character that no name
   *   has (`'prod/github/token'`, `'rds!db-1#password'`, an ARN).
   * @param environment Default: this delivery's. May be left out before `options`.
   */
  getSecretFromAWS(
    secret: string | SecretReference,
    environment?: string,
    options?: ReadOptions,
  ): Promise<string | null>
  /** The value that AWS has now in this delivery's environment. */
  getSecretFromAWS(secret: string | SecretReference, options: ReadOptions): Promise<string | null>
  /** The value that the env file has now. @throws ENV_FILE_INVALID */
  getSecretFromEnvFile(secretName: string, options?: ReadOptions): Promise<string | null>
  /** The value that the runtime environment has now. */
  getSecretFromRuntime(secretName: string, options?: ReadOptions): Promise<string | null>
  /**
   * Reads past the caches, and replaces the cached copies.
   * @throws SECRET_MISSING, SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, ABORTED, CLOSED
   */
  refresh(secretName: string, options?: ReadOptions): Promise<string | null>
  /** Which layer would answer a read of the secret now, and why. Changes nothing, and never contains the value. */
  explain(secretName: string): Promise<SecretExplanation>
  /**
   * Whether the secrets of a tool exist and look right: whether they fit their declaration, and whether they show
   * common mistakes (placeholders, white space or quotes around a value, expiring tokens and certificates, late
   * rotations).
   * @param options `otherEnvironments`: also reports secrets that have the same value there in AWS. That needs
   *   permission to read there; without it, the issue is `NOT_COMPARED`.
   */
  validateToolSecrets(
    toolName: ToolName<T>,
    options?: {
      /** Environments to compare the values with. Default: `[]`. */
      otherEnvironments?: readonly string[] | undefined
    },
  ): Promise<ValidationResult>
  /**
   * Calls `callback` once for each new version of a secret that this instance learns of. Names are lower-cased. A name without a tool,
   * such as `SENDGRID`, comes as the secret type, as it is, with `''` as the tool.
   * @returns A function that unsubscribes.
   */
  onSecretRotated(callback: (toolName: string, secretType: string) => void): () => void
  /**
   * Gives the secret a new value and returns whether it is live.
   * @throws CONFIG_INVALID, SECRET_NAME_INVALID, CLOSED
   */
  rotateSecret(secretName: string, environment: string): Promise<boolean>
  /**
   * Calls `use` with the secret. If `use` fails because the credentials are wrong, reads AWS and calls `use` again,
   * also with the pending and the previous version, because the target system may be ahead of AWS or behind it: five
   * times in all, counted together with other callers, so that no account is locked; calls that are under way when the first one
   * is refused come on top. Any other error of `use` is thrown. The
   * `Response` of a `fetch` that was refused (401) counts as well; if no value is accepted, it is what you get.
   * @throws SOURCE_UNAVAILABLE when no source has the secret; SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID, CLOSED
   */
  withSecret<Result, Tool extends ToolName<T> = ToolName<T>>(
    toolName: Tool,
    secretType: SecretType<T, Tool>,
    use: (secret: string) => Promise<Result>,
    options?: WithSecretOptions,
  ): Promise<Result>
  /**
   * The live, the previous and the pending version, for services that verify what others signed. Remembered for up to a
   * minute where caching is on.
   * @throws SECRET_NAME_INVALID, SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, CLOSED
   */
  getSecretVersions(secretName: string): Promise<SecretVersions>
  /**
   * Handles an event of AWS (EventBridge's `Secret Label Updated`, or one from CloudTrail, as an object or JSON text).
   * When it resolves, every cache has the announced version. Resolves with `true` if the event concerned this
   * environment, and with `false` for events of other AWS accounts, regions and environments, and about secrets that
   * nobody here declared, holds or asked for.
   * @throws SOURCE_RESPONSE_INVALID for something that is not an event; SOURCE_UNAVAILABLE, SOURCE_TIMEOUT: call it
   *   again later with the same event
   */
  handleSecretEvent(event: unknown): Promise<boolean>
  /**
   * Calls `callback` when a threshold is crossed, and when it is no longer crossed. Without a callback, production
   * warns with `ALERT`.
   * @returns A function that unsubscribes.
   */
  onAlert(callback: (alert: Alert) => void): () => void
  /**
   * Whether this identity can read each declared secret from AWS, and which permissions it has. Writes nothing.
   * @throws CONFIG_INVALID where AWS is switched off
   */
  validateSecretAccess(options?: MigrationScope): Promise<AccessValidationResult>
  /**
   * Whether the env file and AWS have the same value of each declared secret and each name in the file.
   * @throws ENV_FILE_INVALID, CONFIG_INVALID, CLOSED
   */
  validateSecretConsistency(options?: MigrationScope): Promise<ValidationResult>
  /** Whether each declared secret can be read as the service will read it, and looks right. */
  validateApplicationFunctionality(options?: FunctionalityOptions): Promise<ValidationResult>
  /**
   * How long reads of the declared secrets take in each layer. A secret that cannot be read is named among its layer's `failures`.
   * @throws SECRET_ACCESS_DENIED, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT, SOURCE_RESPONSE_INVALID, ENV_FILE_INVALID where a layer gives
   *   none of the secrets; CLOSED
   */
  assessPerformanceImpact(): Promise<PerformanceMetrics>
  /**
   * Who AWS takes this process for, as STS says, which needs no permission. `null` where AWS is switched off, and where
   * `aws.endpoint` is set and neither `AWS_ENDPOINT_URL_STS` nor `AWS_ENDPOINT_URL` is. Within 3 seconds.
   *
   * @throws SecretError `SOURCE_UNAVAILABLE` or `SOURCE_TIMEOUT` when there are no credentials, or STS does not answer;
   *   `CLOSED`
   */
  identity(): Promise<AwsIdentity | null>
  /**
   * Each control of the [compliance](docs/compliance.md) profile with its evidence. Asks AWS for the declared secrets. Rejects with
   * `CLOSED` only.
   */
  compliance(): Promise<ComplianceReport>
  /**
   * The secrets that AWS has in this account and region, as far as this identity sees them, in the order of their names. 100 are
   * listed (ListSecrets) and 20 read (BatchGetSecretValue) in a call, past the caches; the audit log has an `inspect` record
   * of each. No value is returned.
   *
   * @throws SECRET_ACCESS_DENIED when ListSecrets is not granted; CONFIG_INVALID, SOURCE_UNAVAILABLE, SOURCE_TIMEOUT,
   *   SOURCE_RESPONSE_INVALID, CLOSED
   */
  findInAws(
    options?:
      | {
          /** What the names in AWS begin with. Default: all secrets. */
          prefix?: string | Unset
        }
      | Unset,
  ): Promise<FoundSecret[]>
  /** State of every source and cache, with the reason, for people who look for a cause. Never rejects. */
  health(): Promise<HealthReport>
  /**
   * Whether this instance should get traffic, for a readiness probe. Answers within a second, never rejects, and asks AWS
   * at most once in ten seconds.
   */
  ready(): Promise<Readiness>
  /**
   * Takes the values of secrets out of logs. Make it before the first read: it knows what is read from then on, and what is
   * cached by then. While there is one, values stay in Rust's memory for an hour after they were replaced.
   *
   * @throws SecretError `CONFIG_INVALID`
   */
  redactor(options?: RedactorOptions): Redactor
  /** Stops all work, wipes cached values and rejects running operations with CLOSED. Idempotent. */
  close(): Promise<void>
  /** Closes the delivery at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void>
}

/** The result of verifying an audit log. */
export interface AuditVerification {
  /** Whether there is no fault of any kind. */
  valid: boolean
  /** Whether no record was changed, removed, inserted or moved. A torn end, as after a power cut, is not tampering. */
  untampered: boolean
  /** The first fault. */
  fault: {
    /** What is wrong. */
    kind: 'changed' | 'removed' | 'inserted' | 'reordered' | 'bad-checkpoint' | 'torn-tail'
    /** Path of the file. */
    file: string
    /** Line number, starting at 1. */
    line: number
    /** Where the line begins in the file, in bytes. */
    byteOffset: number
    /** Describes the fault in a sentence. */
    message: string
  } | null
  /** Number of files that were read. */
  files: number
  /** Their size in bytes. */
  bytes: number
  /** Number of the first record; above 1 if older files are elsewhere. */
  firstSequence: number
  /** Number of the first file; above 1 if older files are elsewhere. */
  firstFile: number
  /** Number of the youngest file of which a record says that it was deleted because of `audit.keepDays`; 0 if none. */
  expiredFiles: number
  /** Number of the last record. */
  lastSequence: number
  /** Link of the last record, as 64 hexadecimal digits. Note it elsewhere, and expect it in a later verification. */
  lastLink: string
  /**
   * Number of the first record with the key; `null` if the log was verified without one. Whoever could write the log may have
   * changed the records before it until it was written, and nobody without the key since.
   */
  keyedSequence: number | null
  /** Whether the state file beside the log confirms that nothing is missing at the end. */
  endConfirmed: boolean
  /** Number of journals of ended processes whose records are not in the log yet; opening the log takes them over. */
  unrecoveredJournals: number
  /**
   * Number of values that were delivered, as the log accounts for them: the sum of `count`, or 1, over the records of the
   * event `access` with the outcome `ok`.
   */
  deliveries: number
  /** Number of values that were delivered without a place for their records (`onFailure: 'warn'`). */
  missedDeliveries: number
  /** Number of records by outcome. A record may stand for several deliveries. */
  outcomes: {
    /** A value was delivered. */
    ok: number
    /** No source had the secret. */
    absent: number
    /** The secret was refused. */
    denied: number
    /** The read failed. */
    failed: number
  }
}

/**
 * Verifies an audit log, including its older, rotated files. May run while the log is written.
 * @throws SOURCE_UNAVAILABLE when the log cannot be read; CONFIG_INVALID
 */
export function verifyAuditLog(
  path: string,
  options?: {
    /** The key that the log was written with, as bytes or as base64 text. Default: none. */
    key?: string | Uint8Array
    /** Number of the record with which the log must begin, at the latest. Default: any. */
    firstSequence?: number
    /** Number of a record that must be there. Default: none. */
    lastSequence?: number
    /** Link of the record `lastSequence`, as an earlier verification gave it. Default: any. */
    lastLink?: string
    /** Number of a record that must have the key, as all after it; 1 for a log that always had one. Default: any. */
    keyedSequence?: number
  },
): Promise<AuditVerification>

/** The defaults of an environment. @throws CONFIG_INVALID */
export function environmentDefaults(environment: string): EnvironmentDefaults

/**
 * Returns `tools` unchanged, and gives their names to TypeScript. With `new SecretDelivery({ tools })`, a tool or a
 * secret type that is not declared does not compile.
 *
 * @example
 * const tools = defineTools({ github: { secrets: { api_token: { required: true } } } })
 * const delivery = new SecretDelivery({ tools })
 */
export function defineTools<T extends Tools>(tools: T & KnownMembers<T>): T
