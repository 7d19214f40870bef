'use strict'

// `queueMicrotask` as it was when the package was loaded. Jest's fake timers replace the global one, and reads would wait
// for them.
const { queueMicrotask } = globalThis

module.exports = { queueMicrotask }
