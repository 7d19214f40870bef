'use strict'

// The functions of CloudFormation that the model uses. Terraform's form is made from the same ones.

const ref = (/** @type {string} */ name) => ({ Ref: name })
const arnOf = (/** @type {string} */ name) => ({ 'Fn::GetAtt': [name, 'Arn'] })
const sub = (/** @type {string} */ text) => ({ 'Fn::Sub': text })
const when = (
  /** @type {string} */ condition,
  /** @type {unknown} */ then,
  /** @type {unknown} */ otherwise = ref('AWS::NoValue'),
) => ({
  'Fn::If': [condition, then, otherwise],
})

const ACCOUNT_ROOT = sub('arn:${AWS::Partition}:iam::${AWS::AccountId}:root')

/**
 * @param {'Allow' | 'Deny'} Effect
 * @param {object | string} Principal
 * @param {string | string[]} Action
 * @param {unknown} Resource
 * @param {object} [Condition]
 * @param {string} [Sid]
 */
function rule(Effect, Principal, Action, Resource, Condition, Sid) {
  return { ...(Sid && { Sid }), Effect, Principal, Action, Resource, ...(Condition && { Condition }) }
}

/** @param {object[]} Statement */
const policy = (...Statement) => ({ Version: '2012-10-17', Statement })

module.exports = { ACCOUNT_ROOT, arnOf, policy, ref, rule, sub, when }
