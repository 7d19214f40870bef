'use strict'

// Runs a program, and says how much memory it had at most, and how long it computed.

process.argv.splice(1, 1)
process.once('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  const seconds = ((userCPUTime + systemCPUTime) / 1e6).toFixed(1)
  process.stderr.write(`${seconds} s of the processor, ${Math.round(maxRSS / 1024)} MiB at most\n`)
})
require(/** @type {string} */ (process.argv[1]))
