'use strict'

// As it was when this was loaded: Jest's fake timers replace the global one, and reads would wait for them.
const { queueMicrotask } = globalThis

module.exports = { queueMicrotask }
