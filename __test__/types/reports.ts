// Compiled by __test__/types.test.js under --strict and never run: the reports that the addon makes (native.d.ts, generated
// from Rust) have the keys that index.d.ts documents, at every depth, and values of the same types.

import type * as documented from 'tcs-secret-delivery'
import type * as native from '../../native.js'

/** `T` with text for each union of texts: Rust knows their words, and its types do not. */
type Plain<T> = T extends string ? string : T

type Differs<A, B> = [A] extends [B] ? ([B] extends [A] ? false : true) : true

type Defined<T> = Exclude<T, null | undefined>

/** Whether a member may be missing. */
type IsOptional<T, Key extends keyof T> = Record<never, never> extends Pick<T, Key> ? true : false

/** The paths at which a documented type and a generated one differ; `never` when they agree. */
type Differences<Documented, Native, Path extends string> =
  Differs<Extract<Documented, null>, Extract<Native, null>> extends true
    ? `${Path}: null on one side only`
    : DefinedDifferences<Defined<Documented>, Defined<Native>, Path>

type DefinedDifferences<Documented, Native, Path extends string> = [Documented] extends [readonly (infer One)[]]
  ? [Native] extends [readonly (infer Other)[]]
    ? Differences<One, Other, `${Path}[]`>
    : `${Path}: an array on one side only`
  : [Documented] extends [object]
    ? [Native] extends [object]
      ? ObjectDifferences<Documented, Native, Path>
      : `${Path}: an object on one side only`
    : Differs<Plain<Documented>, Plain<Native>> extends true
      ? `${Path}: another type`
      : never

/** A `Record` of the addon has any text as key. Its keys are compared by __test__/reports.test.js. */
type ObjectDifferences<Documented, Native, Path extends string> = string extends keyof Native
  ? Differences<Documented[keyof Documented], Native[keyof Native], `${Path}{}`>
  : | `${Path}.${Exclude<keyof Documented, keyof Native> & string}: only documented`
    | `${Path}.${Exclude<keyof Native, keyof Documented> & string}: only in the addon`
    | {
        [Key in keyof Documented & keyof Native & string]: Differs<
          IsOptional<Documented, Key>,
          IsOptional<Native, Key>
        > extends true
          ? `${Path}.${Key}: optional on one side only`
          : Differences<Documented[Key], Native[Key], `${Path}.${Key}`>
      }[keyof Documented & keyof Native & string]

/** Each report with its two types. Reports inside of reports are compared with these. */
interface Reports {
  AccessValidationResult: [Omit<documented.AccessValidationResult, 'checks'>, native.AccessValidationResult]
  Alert: [documented.Alert, native.Alert]
  AppliedSecret: [documented.AppliedSecret, native.AppliedSecret]
  ComparedSecret: [documented.ComparedSecret, native.ComparedSecret]
  FieldChanges: [documented.FieldChanges, native.FieldChanges]
  ApplyReport: [documented.ApplyReport, native.ApplyReport]
  AuditVerification: [documented.AuditVerification, native.AuditVerification]
  AwsIdentity: [documented.AwsIdentity, native.AwsIdentity]
  EnvironmentDefaults: [documented.EnvironmentDefaults, native.EnvironmentDefaults]
  FoundSecret: [documented.FoundSecret, native.FoundSecret]
  HealthCheck: [documented.HealthCheck, native.HealthCheck]
  HealthReport: [documented.HealthReport, native.HealthReport]
  LatencySummary: [documented.LatencySummary, native.LatencySummary]
  ReadFailure: [documented.ReadFailure, native.ReadFailure]
  LayerExplanation: [documented.LayerExplanation, native.LayerExplanation]
  MetricsSnapshot: [documented.MetricsSnapshot, native.MetricsSnapshot]
  MigrationPlan: [documented.MigrationPlan, native.MigrationPlan]
  MigrationProgress: [documented.MigrationProgress, native.MigrationProgress]
  PerformanceMetrics: [documented.PerformanceMetrics, native.PerformanceMetrics]
  PermissionState: [documented.PermissionState, native.PermissionState]
  PlannedSecret: [documented.PlannedSecret, native.PlannedSecret]
  PromClientMetric: [documented.PromClientMetric, native.PromClientMetric]
  ReportedError: [documented.ReportedError, native.ReportedError]
  RetiredSecret: [documented.RetiredSecret, native.RetiredSecret]
  StoreReport: [documented.StoreReport, native.StoreReport]
  RetireReport: [documented.RetireReport, native.RetireReport]
  RollbackReport: [documented.RollbackReport, native.RollbackReport]
  RotationAnnounced: [Extract<documented.RotationNotice, { kind: 'announced' }>, native.RotationAnnounced]
  RotationDue: [documented.RotationDue, native.RotationDue]
  RotationEnded: [Extract<documented.RotationNotice, { kind: 'ended' }>, native.RotationEnded]
  /** The values are methods, which lib/hooks.js adds with the signal, and `hook` says which function to call. */
  RotationHookContext: [
    Omit<documented.RotationContext, 'currentValue' | 'newValue' | 'signal'>,
    Omit<native.RotationHookContext, 'hook'>,
  ]
  Readiness: [documented.Readiness, native.Readiness]
  RedactorWatching: [documented.RedactorWatching, native.RedactorWatching]
  RotationReport: [documented.RotationReport, native.RotationReport]
  SecretExplanation: [documented.SecretExplanation, native.SecretExplanation]
  SecretRotationPolicy: [documented.SecretRotationManager['policies'][number], native.SecretRotationPolicy]
  SecretVersion: [documented.SecretVersion, native.SecretVersion]
  SecretVersions: [documented.SecretVersions, native.SecretVersions]
  ValidatedSecret: [documented.ValidatedSecret, native.ValidatedSecret]
  ValidationIssue: [documented.ValidationIssue, native.ValidationIssue]
  /** lib/delivery.js adds `checks`, the service's own. */
  ValidationResult: [Omit<documented.ValidationResult, 'checks'>, native.ValidationResult]
  UnwatchedSecret: [documented.UnwatchedSecret, native.UnwatchedSecret]
}

type AllDifferences = { [Name in keyof Reports]: Differences<Reports[Name][0], Reports[Name][1], Name> }[keyof Reports]

/** When the comparison fails, the compiler names the paths as missing: `'Alert.since: only documented'`. */
const differences: Record<AllDifferences, true> = {}
void differences

// The comparison itself finds what it has to find.
type Same<A, B> = Differs<A, B> extends true ? false : true
const holds = <_ extends true>(): void => undefined
interface Report {
  name: string
  kind: 'a' | 'b'
  at: string | null
  error: { code: string; action?: string } | null
  list: { line: number }[]
}
type Found<Native> = Differences<Report, Native, 'R'>
holds<Same<Found<Report>, never>>()
holds<Same<Found<Omit<Report, 'kind'> & { kind: string }>, never>>()
holds<Same<Found<Omit<Report, 'name'>>, 'R.name: only documented'>>()
holds<Same<Found<Report & { extra: number }>, 'R.extra: only in the addon'>>()
holds<Same<Found<Omit<Report, 'at'> & { at: string }>, 'R.at: null on one side only'>>()
holds<Same<Found<Omit<Report, 'name'> & { name: number }>, 'R.name: another type'>>()
holds<Same<Found<Omit<Report, 'name'> & { name?: string }>, 'R.name: optional on one side only'>>()
holds<
  Same<
    Found<Omit<Report, 'list'> & { list: { row: number }[] }>,
    'R.list[].line: only documented' | 'R.list[].row: only in the addon'
  >
>()
holds<
  Same<
    Found<Omit<Report, 'error'> & { error: { code: string; action: string } | null }>,
    'R.error.action: optional on one side only'
  >
>()
holds<Same<Differences<Record<'a' | 'b', number>, Record<string, string>, 'R'>, 'R{}: another type'>>()
