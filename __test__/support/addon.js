'use strict'

/**
 * The variable that names the addon, if it is set, for child processes that do not inherit the environment. `npm run quick`
 * sets it.
 *
 * @returns {Record<string, string>}
 */
function addonVariable() {
  const { TCS_SECRET_DELIVERY_BINARY } = process.env
  return TCS_SECRET_DELIVERY_BINARY === undefined ? {} : { TCS_SECRET_DELIVERY_BINARY }
}

module.exports = { addonVariable }
