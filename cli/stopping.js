'use strict'

// Ctrl-Z. A process that is stopped while it holds the lock of an audit log keeps the lock, and the service that shares the log could
// not write until somebody continues the command: it is stopped between two writes.

function heedCtrlZ() {
  if (process.platform === 'win32') return
  process.on('SIGTSTP', () => {
    const stop = loadedStop()
    if (stop !== undefined) stop()
    else process.kill(process.pid, 'SIGSTOP')
  })
}

/** Loaded late, like all that needs the addon. Where that cannot be loaded, nothing is written. @returns {(() => void) | undefined} */
function loadedStop() {
  try {
    return require('../lib/audit').stopBetweenWrites
  } catch {
    return undefined
  }
}

module.exports = { heedCtrlZ }
