'use strict'

/** Ends Jest's output with one plain line that scripts and CI can read. */
class ClosingLine {
  /** @param {unknown} _ @param {import('@jest/test-result').AggregatedResult} results */
  onRunComplete(_, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    console.log(`jest: ${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed`)
  }
}

module.exports = ClosingLine
