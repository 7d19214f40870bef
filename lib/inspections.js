'use strict'

// What looks and changes nothing: `explain`, `health`, `ready`, `identity` and the validations.

const { assertEnvironment, assertName, checked, checkedScope } = require('./arguments')
const { checkedChecks, runChecks } = require('./checks')
const { complianceReport } = require('./compliance')
const { SecretError } = require('./errors')
const { Operating } = require('./operating')
const { downReport } = require('./reports')

/** See `index.d.ts` for the documentation of every member. */
class Inspections extends Operating {
  /**
   * @param {string} secretName
   * @returns {Promise<import('../index').SecretExplanation>}
   */
  async explain(secretName) {
    assertName('secretName', secretName)
    return this.start((id) => this.native.explain(id, secretName, this.variables.forName(secretName)))
  }

  /** @returns {Promise<import('../index').AwsIdentity | null>} */
  async identity() {
    return this.start((id) => this.native.identity(id))
  }

  /**
   * @param {{ prefix?: string | null } | null} [options]
   * @returns {Promise<import('../index').FoundSecret[]>}
   */
  async findInAws(options) {
    const { prefix } = options ?? {}
    if (prefix !== undefined && prefix !== null && typeof prefix !== 'string') {
      throw new SecretError('CONFIG_INVALID', `options.prefix must be a string, got ${typeof prefix}`)
    }
    return this.start((id) => this.native.findInAws(id, prefix ?? undefined))
  }

  /** @returns {Promise<import('../index').HealthReport>} */
  async health() {
    try {
      return await this.start((id) => this.native.health(id))
    } catch (error) {
      return downReport(/** @type {import('../index').Environment} */ (this.native.environment()), error)
    }
  }

  /** @returns {Promise<import('../index').Readiness>} */
  async ready() {
    try {
      const found = this.variables.all()
      return await this.start((id) => this.native.ready(id, found))
    } catch (error) {
      return { ready: false, status: 'not-ready', reasons: [/** @type {Error} */ (error).message] }
    }
  }

  /**
   * @param {string} toolName
   * @param {{ otherEnvironments?: string[] }} [options]
   * @returns {Promise<import('../index').ValidationResult>}
   */
  async validateToolSecrets(toolName, options) {
    assertName('toolName', toolName)
    const otherEnvironments = checked(options, ['otherEnvironments']).otherEnvironments ?? []
    if (!Array.isArray(otherEnvironments)) {
      throw new SecretError('CONFIG_INVALID', 'otherEnvironments must be an array of environments')
    }
    otherEnvironments.forEach(assertEnvironment)
    const found = this.variables.all()
    return this.start((id) => this.native.validateToolSecrets(id, toolName, otherEnvironments, found))
  }

  /**
   * @param {import('../index').MigrationScope} [options]
   * @returns {Promise<import('../index').AccessValidationResult>}
   */
  async validateSecretAccess(options) {
    const scope = checkedScope(options)
    return this.start((id) => this.native.validateSecretAccess(id, scope))
  }

  /**
   * @param {import('../index').MigrationScope} [options]
   * @returns {Promise<import('../index').ValidationResult>}
   */
  async validateSecretConsistency(options) {
    const scope = checkedScope(options)
    return this.start((id) => this.native.validateSecretConsistency(id, scope))
  }

  /**
   * @param {import('../index').FunctionalityOptions} [options]
   * @returns {Promise<import('../index').ValidationResult>}
   */
  async validateApplicationFunctionality(options) {
    const given = checkedChecks(options)
    const found = this.variables.all()
    /** @type {import('../index').ValidationResult} */
    const result = await this.start((id) => this.native.validateApplicationFunctionality(id, given.scope, found))
    if (options?.checks === undefined) return result
    const checks = await runChecks(given)
    return { ...result, valid: result.valid && checks.every(({ passed }) => passed), checks }
  }

  /** @returns {Promise<import('../index').ComplianceReport>} */
  async compliance() {
    const environment = this.native.environment()
    const world = {
      native: this.native,
      facts: () => this.start((id) => this.native.secretFacts(id)),
      validate: () => this.validateApplicationFunctionality(),
      files: this.native.privateFiles(),
    }
    return complianceReport(world, environment)
  }

  /** @returns {Promise<import('../index').PerformanceMetrics>} */
  async assessPerformanceImpact() {
    return this.start((id) => this.native.assessPerformanceImpact(id))
  }
}

// A named export: as a member of an object literal the class would not be a type.
exports.Inspections = Inspections
