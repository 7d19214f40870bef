'use strict'

// Ready-made rotation hooks, over drivers that the service brings: `tcs-secret-delivery/rotation`. See docs/rotation.md.

const { mysqlAlternatingUsers, mysqlSingleUser } = require('./lib/rotate-mysql')
const { postgresAlternatingUsers, postgresSingleUser } = require('./lib/rotate-postgres')
const { redisAcl } = require('./lib/rotate-redis')
const { verifyWebhook, webhook } = require('./lib/rotate-webhook')

module.exports = {
  mysqlAlternatingUsers,
  mysqlSingleUser,
  postgresAlternatingUsers,
  postgresSingleUser,
  redisAcl,
  verifyWebhook,
  webhook,
}
