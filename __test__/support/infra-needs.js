'use strict'

const { ACCOUNT, PARTITION, REGION } = require('../../cli/infra/formats')
const { placesOf } = require('../../cli/infra/places')

/**
 * What `infra` makes its template from, for options in production.
 *
 * @param {any} options
 * @returns {import('../../cli/infra/roles').Needs}
 */
function needsFor(options) {
  return {
    home: { account: ACCOUNT, region: REGION, partition: PARTITION },
    environment: 'production',
    places: placesOf(options, 'production'),
    patterns: [],
    otherRegions: [],
    batch: true,
    lists: false,
    randomByAws: false,
    queue: undefined,
    kmsKey: undefined,
    vpcEndpoint: undefined,
    trailBucket: undefined,
  }
}

module.exports = { needsFor }
