'use strict'

/** The values of an option that names an environment. */
const ENVIRONMENTS = ['development', 'test', 'staging', 'production', 'dev', 'stage', 'prod']

module.exports = { ENVIRONMENTS }
