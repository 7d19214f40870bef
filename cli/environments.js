'use strict'

/** What an option that names an environment takes. */
const ENVIRONMENTS = ['development', 'test', 'staging', 'production', 'dev', 'stage', 'prod']

module.exports = { ENVIRONMENTS }
