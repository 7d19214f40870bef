'use strict'

/** @type {import('jest').Config} */
module.exports = {
  testMatch: ['<rootDir>/__test__/**/*.test.js'],
  testTimeout: 30_000,
  // All suites write one audit log, which is verified at the end.
  globalSetup: '<rootDir>/__test__/support/audit-log-setup.js',
  globalTeardown: '<rootDir>/__test__/support/audit-log-teardown.js',
  // Two suites at a time: each starts servers of its own.
  maxWorkers: 2,
}
