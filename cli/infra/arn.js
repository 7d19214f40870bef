'use strict'

// ARNs for policies.

/** @typedef {{ partition: string, region: string, account: string }} Home Where an environment lives. */

/** Partitions by the beginning of their regions, with the domain of their services. @type {[string, string, string][]} */
const PARTITIONS = [
  ['cn-', 'aws-cn', 'amazonaws.com.cn'],
  ['us-gov-', 'aws-us-gov', 'amazonaws.com'],
  ['us-isob-', 'aws-iso-b', 'sc2s.sgov.gov'],
  ['us-isof-', 'aws-iso-f', 'csp.hci.ic.gov'],
  ['us-iso-', 'aws-iso', 'c2s.ic.gov'],
  ['eu-isoe-', 'aws-iso-e', 'cloud.adc-e.uk'],
  ['eusc-', 'aws-eusc', 'amazonaws.eu'],
]

/** @param {string} region */
function partitionOf(region) {
  return PARTITIONS.find(([beginning]) => region.startsWith(beginning))?.[1] ?? 'aws'
}

/** The domain of AWS's services in a region. @param {string} region */
function domainOf(region) {
  return PARTITIONS.find(([beginning]) => region.startsWith(beginning))?.[2] ?? 'amazonaws.com'
}

/** AWS ends each ARN of a secret in a dash and six characters that it makes up. */
const ENDING = '-??????'

/**
 * The pattern of a secret's ARN.
 *
 * @param {string} id A name, an ARN, an ARN without its ending, or a pattern of one of them that ends in `*`.
 * @param {Home} home
 */
function secretArn(id, { partition, region, account }) {
  const arn = id.startsWith('arn:') ? id : `arn:${partition}:secretsmanager:${region}:${account}:secret:${id}`
  if (arn.endsWith('*')) return arn
  // The last seven characters of a whole ARN.
  if (id.startsWith('arn:') && /-[A-Za-z0-9]{6}$/.test(id)) return arn
  return arn + ENDING
}

/**
 * The patterns of a secret's ARN. An ARN that ends in a word of six letters may be whole, or without its ending, of a secret such as
 * `db-master`: AWS's endings hardly ever are six small letters.
 *
 * @param {string} id As for {@link secretArn}.
 * @param {Home} home
 */
function secretArns(id, home) {
  const arn = secretArn(id, home)
  return id.startsWith('arn:') && /-[a-z]{6}$/.test(id) ? [arn, arn + ENDING] : [arn]
}

/** The name in an id: callers may name a secret by its ARN, with or without the ending, or by its name. @param {string} id */
function nameIn(id) {
  return id.startsWith('arn:') ? id.replace(/^(?:[^:]*:){6}/, '').replace(/-[A-Za-z0-9]{6}$/, '') : id
}

/** Whether a pattern of IAM matches a text: `*` any characters, `?` one. @param {string} pattern @param {string} text */
function matches(pattern, text) {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(text)
}

/**
 * The ARN of a queue.
 *
 * @param {string} url Such as `https://sqs.eu-central-1.amazonaws.com/111122223333/queue`.
 * @param {Home} home What the URL does not say.
 * @returns {string | undefined} Unset where it is no URL of a queue.
 */
function queueArn(url, home) {
  const found = /^https?:\/\/([^/?#]+)\/(?:(\d{12})\/)?([A-Za-z0-9_-]+(?:\.fifo)?)\/?$/.exec(url)
  if (found === null) return undefined
  const [, host = '', account = home.account, name = ''] = found
  const region = host.split('.').find((label) => /^[a-z]{2,4}(-[a-z]+)+-\d$/.test(label)) ?? home.region
  return `arn:${partitionOf(region)}:sqs:${region}:${account}:${name}`
}

module.exports = { ENDING, domainOf, matches, nameIn, partitionOf, queueArn, secretArn, secretArns }
