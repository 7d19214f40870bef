'use strict'

// Policies as IAM, CloudFormation and Terraform want them.

/** @typedef {import('./fit').Document} Document */
/** @typedef {{ role: string, environment: string, documents: Document[] }} Policies */

const FORMATS = ['json', 'cloudformation', 'terraform']

/** The ARN's account and region where they are left to the deployment. */
const ACCOUNT = '{{account}}'
const REGION = '{{region}}'
const PARTITION = '{{partition}}'

/** @type {Record<string, (policies: Policies) => unknown>} */
const MAKERS = {
  json: ({ documents }) => (documents.length === 1 ? documents[0] : documents),
  cloudformation: ({ role, environment, documents }) => ({
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `What the ${role} of tcs-secret-delivery may do in ${environment}`,
    Resources: Object.fromEntries(
      documents.map((document, at) => [
        `${title(role)}Policy${documents.length === 1 ? '' : at + 1}`,
        {
          Type: 'AWS::IAM::ManagedPolicy',
          Properties: { Description: about(role, environment), PolicyDocument: substituted(document) },
        },
      ]),
    ),
    Outputs: Object.fromEntries(
      documents.map((_, at) => {
        const name = `${title(role)}Policy${documents.length === 1 ? '' : at + 1}`
        return [name, { Description: 'ARN of the policy', Value: { Ref: name } }]
      }),
    ),
  }),
  terraform: ({ role, environment, documents }) => ({
    resource: {
      aws_iam_policy: Object.fromEntries(
        documents.map((document, at) => {
          const name = `tcs-secrets-${environment}-${role}${documents.length === 1 ? '' : `-${at + 1}`}`
          const key = name.replaceAll('-', '_').replace(/\W/g, '_')
          return [key, { name, description: about(role, environment), policy: JSON.stringify(document) }]
        }),
      ),
    },
  }),
}

/** The text of policies. @param {string} format @param {Policies} policies */
function formatted(format, policies) {
  return /** @type {(policies: Policies) => unknown} */ (MAKERS[format])(policies)
}

/** @param {string} role @param {string} environment */
const about = (role, environment) => `tcs-secret-delivery: ${role}, ${environment}`

/** @param {string} text */
const title = (text) => text[0]?.toUpperCase() + text.slice(1)

/**
 * With `Fn::Sub` where something is left to the deployment.
 *
 * @param {any} value
 * @returns {any}
 */
function substituted(value) {
  if (typeof value === 'string') {
    if (!/\{\{(account|region|partition)\}\}/.test(value)) return value
    const text = value.replaceAll(ACCOUNT, '${AWS::AccountId}').replaceAll(REGION, '${AWS::Region}')
    return { 'Fn::Sub': text.replaceAll(PARTITION, '${AWS::Partition}') }
  }
  if (Array.isArray(value)) return value.map(substituted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, substituted(member)]))
}

module.exports = { ACCOUNT, FORMATS, PARTITION, REGION, formatted, substituted }
