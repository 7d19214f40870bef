'use strict'

const { resources: schemas } = require('../fixtures/terraform-aws.json')

/** @typedef {{ form: string, required: boolean, members?: Record<string, Member> }} Member */
/** @typedef {{ members: Record<string, Member>, attributes: string[] }} Schema */

/** Arguments of every resource, whatever its type. */
const META = ['//', 'count', 'depends_on', 'lifecycle']

/**
 * What the provider's schema says of a configuration in Terraform's JSON syntax: arguments that it does not have, arguments that are
 * missing or of another form, and references to what is not there.
 *
 * @param {any} made
 * @returns {string[]}
 */
function faultsOf(made) {
  const faults = Object.entries(made.resource).flatMap(([type, all]) => {
    const schema = /** @type {Record<string, Schema>} */ (schemas)[type]
    if (schema === undefined) return [`${type} is unknown`]
    return Object.entries(/** @type {Record<string, any>} */ (all)).flatMap(([name, body]) => {
      const own = Object.fromEntries(Object.entries(body).filter(([member]) => !META.includes(member)))
      return faultsIn(own, schema.members, `${type}.${name}`)
    })
  })
  return [...faults, ...lostReferences(made)]
}

/** @param {any} body @param {Record<string, Member>} members @param {string} place @returns {string[]} */
function faultsIn(body, members, place) {
  const missing = Object.entries(members)
    .filter(([name, { required }]) => required && body[name] === undefined)
    .map(([name]) => `${place}.${name} is missing`)
  const wrong = Object.entries(body).flatMap(([name, value]) => {
    const member = members[name]
    const at = `${place}.${name}`
    return member === undefined ? [`${at} is no argument`] : formFaults(value, member, at)
  })
  return [...missing, ...wrong]
}

/** @param {any} value @param {Member} member @param {string} at @returns {string[]} */
function formFaults(value, { form, members }, at) {
  if (members !== undefined) {
    // A block may stand alone or in a list.
    const blocks = Array.isArray(value) ? value : [value]
    return blocks.flatMap((block) =>
      typeof block === 'object' ? faultsIn(block, members, at) : [`${at} must be an object`],
    )
  }
  const isExpression = typeof value === 'string' && /^\$\{.*\}$/s.test(value)
  const is = Array.isArray(value) ? 'list' : typeof value === 'object' ? 'map' : typeof value
  return isExpression || is === form ? [] : [`${at} must be a ${form}, and is a ${is}`]
}

/** References to resources, or to attributes of resources, that are not there. @param {any} made */
function lostReferences(made) {
  const text = JSON.stringify(made)
  const found = text.matchAll(/(?<!data\.)\b(aws_\w+)\.(\w+)(?:\[\*\]|\[0\])?\.(\w+)/g)
  return [...found].flatMap(([whole, type = '', name = '', attribute = '']) => {
    const schema = /** @type {Record<string, Schema>} */ (schemas)[type]
    const isThere = made.resource[type]?.[name] !== undefined && schema?.attributes.includes(attribute)
    return isThere || ['aws_caller_identity', 'aws_region', 'aws_partition'].includes(type) ? [] : [`${whole} is lost`]
  })
}

module.exports = { faultsOf }
