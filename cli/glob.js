'use strict'

/** What a pattern of names matches: `*` stands for any characters, and case does not matter. @param {string} pattern */
function matcher(pattern) {
  const parts = pattern.split('*').map((part) => part.replace(/[^\w]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'i')
}

module.exports = { matcher }
