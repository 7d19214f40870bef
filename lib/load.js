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
    throw new Error(explain(), { cause })
  }
}

function explain() {
  const { platform, arch, version, env } = process
  const { version: wanted } = require('../package.json')
  const override = env.NAPI_RS_NATIVE_LIBRARY_PATH
  if (override !== undefined) {
    return `tcs-secret-delivery: NAPI_RS_NATIVE_LIBRARY_PATH names '${override}', which could not be loaded. Unset it, or let it name the binary for ${platform}-${arch}.`
  }
  return [
    `tcs-secret-delivery: no binary for ${platform}-${arch} could be loaded (Node ${version}).`,
    `It comes in a package of its own that npm installs as an optional dependency. To get it:`,
    `  1. npm install tcs-secret-delivery-${packageSuffix()}@${wanted}`,
    `  2. or remove node_modules and package-lock.json and run 'npm install' again, without --omit=optional or --no-optional`,
    `  3. or set NAPI_RS_NATIVE_LIBRARY_PATH to a binary that you built ('npm run build' in the sources)`,
    `A container or bundle needs the package of the platform it runs on, not of the one it was built on.`,
    `Supported: Linux x64 and arm64 (glibc, musl), macOS x64 and arm64, Windows x64 and arm64.`,
  ].join('\n')
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
