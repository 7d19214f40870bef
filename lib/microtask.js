'use strict'

const { queueMicrotask } = require('./real-time')

module.exports = { queueMicrotask }
