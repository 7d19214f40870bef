'use strict'

/** @type {import('jest').Config} */
module.exports = {
  testMatch: ['<rootDir>/__test__/**/*.test.js'],
  testTimeout: 30_000,
  // Two suites at a time: each starts servers of its own.
  maxWorkers: 2,
}
