'use strict'

/**
 * Loads the addon of this platform, and says what to do when it is not there. npm leaves out optional platform packages
 * in some cases (https://github.com/npm/cli/issues/4828).
 */

/** @returns {typeof import('../native')} */
function load() {
  try {
    return require('../native')
  } catch (cause) {
    const { platform, arch, version } = process
    throw new Error(
      `tcs-secret-delivery: no binary for ${platform}-${arch} could be loaded (Node ${version}).\n` +
        `Install the platform package beside it, for example 'npm install tcs-secret-delivery-${packageSuffix()}', or ` +
        `remove node_modules and package-lock.json and run 'npm install' again (optional dependencies must not be ` +
        `switched off: no --omit=optional). Containers need the packages of their own platform.\n` +
        `Supported: linux x64/arm64 (gnu, musl), macOS x64/arm64, Windows x64/arm64.`,
      { cause },
    )
  }
}

function packageSuffix() {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`
}

function isMusl() {
  const report = /** @type {any} */ (process.report?.getReport())
  return report?.header?.glibcVersionRuntime === undefined
}

module.exports = load()
