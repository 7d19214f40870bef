'use strict'

// Runs a program, and says how much memory it had at most.

process.argv.splice(1, 1)
process.once('exit', () => {
  process.stderr.write(`${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at most\n`)
})
require(/** @type {string} */ (process.argv[1]))
