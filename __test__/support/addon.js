'use strict'

/**
 * For the environment of child processes that get nothing else of this one's: the variable that names the addon, where it is
 * set. `npm run quick` sets it.
 *
 * @returns {Record<string, string>}
 */
function addonVariable() {
  const { TCS_SECRET_DELIVERY_BINARY } = process.env
  return TCS_SECRET_DELIVERY_BINARY === undefined ? {} : { TCS_SECRET_DELIVERY_BINARY }
}

module.exports = { addonVariable }
