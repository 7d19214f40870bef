'use strict'

// What the processes of the accounting read, and how they note what they have received.

/** The secrets, by AWS id. */
const SECRETS = {
  A_CACHED_production: 'v-cached',
  A_JOINED_production: 'v-joined',
  LISTED_ONE_production: 'v-one',
  LISTED_TWO_production: 'v-two',
  A_VERSIONS_production: 'v-versions',
  A_USED_production: 'v-used',
}

/** Their names, in the order of the counters. */
const NAMES = Object.keys(SECRETS).map((id) => id.replace(/_production$/, ''))

/** One operation delivers at most this many values of one secret: what may be accounted for and not noted at a kill. */
const MOST_AT_ONCE = 8

module.exports = { MOST_AT_ONCE, NAMES, SECRETS }
