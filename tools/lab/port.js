'use strict'

const net = require('node:net')

/** Ports below the range from which systems assign ports (32768 and up on Linux), so that a port that was closed for a while is
 * still free afterwards. */
const [FIRST, LAST] = [20_000, 31_999]
/** @type {Set<number>} */
const taken = new Set()

/** @returns {Promise<number>} A free port of loopback that nobody else in this process gets. */
async function ownPort() {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if (taken.has(port)) continue
    taken.add(port)
    if (await isFree(port)) return port
  }
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

module.exports = { ownPort }
