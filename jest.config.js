'use strict'

const path = require('node:path')

/** @type {import('jest').Config} */
module.exports = {
  testMatch: ['<rootDir>/__test__/**/*.test.js'],
  testTimeout: 30_000,
  // All suites write one audit log, which is verified at the end.
  globalSetup: path.join(__dirname, '__test__', 'support', 'audit-log-setup.js'),
  globalTeardown: path.join(__dirname, '__test__', 'support', 'audit-log-teardown.js'),
  // They wait more than they compute: on two processors, three at a time take three fifths of the time of two.
  maxWorkers: 3,
}
