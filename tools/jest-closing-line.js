'use strict'

const fs = require('node:fs')

/** Ends Jest's output with one plain line that scripts and CI can read, and writes down which suites failed. */
class ClosingLine {
  #failedFile

  /** @param {unknown} _ @param {{ failedFile?: string }} options `failedFile`: gets the paths of the suites that failed. */
  constructor(_, { failedFile }) {
    this.#failedFile = failedFile
  }

  /** @param {unknown} _ @param {import('@jest/test-result').AggregatedResult} results */
  onRunComplete(_, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults }) {
    const failed = testResults.filter(({ numFailingTests, testExecError }) => numFailingTests > 0 || testExecError)
    if (this.#failedFile !== undefined) {
      fs.writeFileSync(this.#failedFile, JSON.stringify(failed.map(({ testFilePath }) => testFilePath)))
    }
    console.log(`jest: ${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed`)
  }
}

module.exports = ClosingLine
