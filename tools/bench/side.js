'use strict'

// One side of one scenario, in a process of its own: `side.js SCENARIO SIDE`, input as JSON in INPUT. It sends
// its result to the parent.

const path = require('node:path')

const [scenario, side] = process.argv.slice(2)
const { sides } = require(path.join(__dirname, 'scenarios', scenario))

sides[side](JSON.parse(process.env.INPUT ?? '{}')).then(
  (/** @type {unknown} */ measured) => {
    process.send?.(measured, () => process.exit(0))
  },
  (/** @type {Error} */ error) => {
    console.error(error)
    process.exit(1)
  },
)
