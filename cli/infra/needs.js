'use strict'

// What roles and infrastructure are made from: the configuration, and what the operator says; the rest is asked of AWS.

const { CliError, EXIT, describe } = require('../exit')
const { partitionOf } = require('./arn')
const { ACCOUNT, PARTITION, REGION } = require('./formats')
const { listedTools, patternOfTool, placesOf } = require('./places')

/** @typedef {{ account?: string, region?: string, kmsKey?: string, vpcEndpoint?: string, trailBucket?: string, service?: string, list?: boolean, rotationFunction?: string[] }} Given */

/**
 * @param {import('../context').Context} context
 * @param {Given} given
 * @param {{ isDeployed: boolean }} form Whether account and region may be left to the deployment.
 * @returns {Promise<import('./roles').Needs>}
 */
async function needsOf(context, given, { isDeployed }) {
  checkGiven(given)
  // The configuration is checked as the service would do it; what is only of use to the service is left out.
  const changed = (/** @type {any} */ options) => ({ ...options, cache: false, audit: false })
  return context.withDelivery(async (delivery, { options }) => {
    const { environment } = delivery
    const places = placesOf(options, environment)
    const listed = listedTools(options)
    if (places.length === 0 && listed.length === 0) throw nothingDeclared()
    const region =
      given.region ?? options.aws?.region ?? (process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || undefined)
    if (region === undefined && !isDeployed) {
      throw new CliError(
        'REGION_UNKNOWN',
        EXIT.configuration,
        'no option, variable or configuration names the region: add --region, such as --region eu-central-1',
      )
    }
    const account = given.account ?? (isDeployed ? ACCOUNT : await accountOf(delivery))
    const home = {
      region: region ?? REGION,
      account,
      partition: region === undefined ? PARTITION : partitionOf(region),
    }
    return {
      home,
      environment,
      places,
      patterns: listed.map((tool) => patternOfTool(options, environment, tool)),
      otherRegions: (options.aws?.failoverRegions ?? []).map((one) => (typeof one === 'string' ? one : one.region)),
      batch: options.aws?.batch !== false,
      lists: given.list === true || listed.length > 0,
      randomByAws: options.rotation?.generator === 'aws',
      ...(options.aws?.assumeRole && { assumed: options.aws.assumeRole.roleArn }),
      queue: options.events?.sqsQueueUrl ?? undefined,
      kmsKey: given.kmsKey ?? options.migration?.kmsKeyId ?? undefined,
      vpcEndpoint: given.vpcEndpoint,
      trailBucket: given.trailBucket,
      rotationFunctions: (given.rotationFunction ?? []).map((name) => functionArn(name, home)),
    }
  }, changed)
}

/** @param {string} name A function's name or ARN. @param {import('./arn').Home} home */
function functionArn(name, { partition, region, account }) {
  if (/^arn:aws[\w-]*:lambda:[\w-]+:\d{12}:function:[\w-]{1,140}$/.test(name)) return name
  if (/^[\w-]{1,64}$/.test(name)) return `arn:${partition}:lambda:${region}:${account}:function:${name}`
  throw new CliError(
    'USAGE',
    EXIT.usage,
    '--rotation-function must be the name or the ARN of a function, without a version',
  )
}

/** What each option must look like. @type {[keyof Given, string, RegExp, string][]} */
const FORMS = [
  ['account', '--account', /^\d{12}$/, 'twelve digits'],
  ['region', '--region', /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/, 'a region, such as eu-central-1'],
  [
    'kmsKey',
    '--kms-key',
    /^(arn:aws[\w-]*:kms:[\w-]+:\d{12}:key\/[\w-]+|alias\/[\w/-]+|(mrk-)?[0-9a-f-]{32,36})$/,
    "a key's ARN or id, or alias/…",
  ],
  ['vpcEndpoint', '--vpc-endpoint', /^vpce-[0-9a-f]{8,17}$/, 'the id of an endpoint, such as vpce-0123456789abcdef0'],
  ['service', '--service', /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'letters, digits, - and _'],
  ['trailBucket', '--trail-bucket', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of a bucket'],
]

/** @param {Given} given */
function checkGiven(given) {
  for (const [name, option, form, what] of FORMS) {
    const value = given[name]
    if (value !== undefined && !form.test(String(value)))
      throw new CliError('USAGE', EXIT.usage, `${option} must be ${what}`)
  }
}

/** @param {Pick<import('../context').SecretDelivery, 'identity'>} delivery */
async function accountOf(delivery) {
  const why = await delivery.identity().then(
    (identity) => identity?.account ?? null,
    (error) => describe(error),
  )
  if (typeof why === 'string') return why
  const said = why === null ? '' : ` (${why.message})`
  throw new CliError(
    'ACCOUNT_UNKNOWN',
    EXIT.configuration,
    `AWS does not say which account this is: add --account with its twelve digits${said}`,
  )
}

function nothingDeclared() {
  const message = "no secrets are declared, so that nothing can be granted: 'tcs-secrets init' writes a configuration"
  return new CliError('NO_TOOLS_DECLARED', EXIT.configuration, message)
}

module.exports = { needsOf }
