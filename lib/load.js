'use strict'

/**
 * Finds the binary of this platform, checks it before it is loaded (loading a truncated one would crash the process), and
 * says what to do when it is missing or is the wrong one.
 */

const fs = require('node:fs')
const path = require('node:path')
const { version } = require('../package.json')

const OVERRIDE = 'TCS_SECRET_DELIVERY_BINARY'

/**
 * Resolves the binary by platform, architecture and C library. Each package's name is written out, so that bundlers find
 * it.
 *
 * @type {Record<string, () => string>}
 */
const PACKAGES = {
  'linux-x64-gnu': () => require.resolve('tcs-secret-delivery-linux-x64-gnu'),
  'linux-arm64-gnu': () => require.resolve('tcs-secret-delivery-linux-arm64-gnu'),
  'linux-x64-musl': () => require.resolve('tcs-secret-delivery-linux-x64-musl'),
  'linux-arm64-musl': () => require.resolve('tcs-secret-delivery-linux-arm64-musl'),
  'darwin-x64': () => require.resolve('tcs-secret-delivery-darwin-x64'),
  'darwin-arm64': () => require.resolve('tcs-secret-delivery-darwin-arm64'),
  'win32-x64-msvc': () => require.resolve('tcs-secret-delivery-win32-x64-msvc'),
  'win32-arm64-msvc': () => require.resolve('tcs-secret-delivery-win32-arm64-msvc'),
}

/** @returns {typeof import('../native')} */
function load() {
  const override = process.env[OVERRIDE]
  const file = override ? overridden(override) : installed()
  const advice = override
    ? `It is named by ${OVERRIDE}: let that name the binary for ${here()}, or unset it.`
    : `Install it anew: remove node_modules, then run 'npm install' on this machine.`
  const wrong = defect(file)
  if (wrong !== undefined) fail(`${file} ${wrong}.`, advice)
  /** @type {any} */
  let native
  try {
    native = require(file)
  } catch (cause) {
    fail(`${file} could not be loaded: ${/** @type {Error} */ (cause).message}`, advice, cause)
  }
  if (native.VERSION !== version) {
    const found = native.VERSION === undefined ? 'is another addon' : `is of version ${native.VERSION}`
    fail(`${file} ${found}; version ${version} of the package needs its own.`, advice)
  }
  return native
}

/** @param {string} file */
function overridden(file) {
  if (!path.isAbsolute(file) || !file.endsWith('.node')) {
    fail(`${OVERRIDE} is '${file}'.`, `It has to be the absolute path of a .node file.`)
  }
  return file
}

/** The binary that was built in this checkout, else that of the platform's package. */
function installed() {
  const wanted = here()
  const built = path.join(__dirname, '..', `tcs-secret-delivery.${wanted}.node`)
  if (fs.existsSync(built)) return built
  const resolve = PACKAGES[wanted]
  if (resolve === undefined) {
    const known = Object.keys(PACKAGES).join(', ')
    fail(`there is no binary for ${wanted}.`, `There are: ${known}. Build one: 'npm run build' in the sources.`)
  }
  try {
    return resolve()
  } catch (cause) {
    return fail(`no binary for ${wanted} is installed (Node ${process.versions.node}).`, missing(wanted), cause)
  }
}

/** @param {string} wanted */
function missing(wanted) {
  const others = Object.keys(PACKAGES).filter((name) => {
    try {
      return PACKAGES[name]()
    } catch {
      return false
    }
  })
  return [
    ...(others.length === 0
      ? []
      : [`Installed is the one for ${others.join(', ')}: this node_modules was made on another kind of machine.`]),
    `The binary is a package of its own, which npm installs as an optional dependency and sometimes leaves out`,
    `(https://github.com/npm/cli/issues/4828). To get it:`,
    `  1. npm install tcs-secret-delivery-${wanted}@${version}`,
    `  2. or remove node_modules and package-lock.json and run 'npm install' again, without --omit=optional`,
    `  3. or let ${OVERRIDE} name a binary that you built ('npm run build' in the sources)`,
    `A container or bundle needs the package of the platform that it runs on, not of the one that it was made on.`,
  ].join('\n')
}

/** Platform, architecture and C library of this process, as in the packages' names. */
function here() {
  const { platform, arch, execPath } = process
  if (platform === 'linux') return `linux-${arch}-${libc(execPath)}`
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`
}

/**
 * The C library of a program on Linux, as its dynamic loader shows.
 *
 * @param {string} program
 */
function libc(program) {
  try {
    return head(program).bytes.includes('/ld-musl-') ? 'musl' : 'gnu'
  } catch {
    // Deno may refuse access to the file. When this guess is wrong, the error names the package that was searched for.
    return 'gnu'
  }
}

/**
 * Why a file cannot be a binary of this platform; `undefined` when it can.
 *
 * @param {string} file
 * @returns {string | undefined}
 */
function defect(file) {
  let read
  try {
    read = head(file)
  } catch (error) {
    return `could not be read (${/** @type {NodeJS.ErrnoException} */ (error).code})`
  }
  const { bytes, size } = read
  const kind = kindOf(bytes)
  const wanted = `${process.platform}-${process.arch}`
  if (kind === undefined) return 'is not a binary'
  if (kind !== wanted) return `is a binary for ${kind}, and this is ${wanted}`
  // The section table is at the end of an ELF file. Other platforms check their binaries themselves.
  const end = kind.startsWith('linux-')
    ? Number(bytes.readBigUInt64LE(40)) + bytes.readUInt16LE(58) * bytes.readUInt16LE(60)
    : 0
  return size < end ? `is truncated: it has ${size} of at least ${end} bytes` : undefined
}

/**
 * Platform and architecture that a binary is for.
 *
 * @param {Buffer} bytes Its beginning.
 */
function kindOf(bytes) {
  /** @type {Record<number, string | undefined>} */
  let machines = {}
  let machine = 0
  if (bytes.readUInt32BE(0) === 0x7f454c46) {
    machines = { 0x3e: 'linux-x64', 0xb7: 'linux-arm64' }
    machine = bytes.readUInt16LE(18)
  } else if (bytes.readUInt32LE(0) === 0xfeedfacf) {
    machines = { 0x01000007: 'darwin-x64', 0x0100000c: 'darwin-arm64' }
    machine = bytes.readUInt32LE(4)
  } else if (bytes.toString('latin1', 0, 2) === 'MZ' && bytes.readUInt32LE(60) <= HEAD - 6) {
    machines = { 0x8664: 'win32-x64', 0xaa64: 'win32-arm64' }
    machine = bytes.readUInt16LE(bytes.readUInt32LE(60) + 4)
  } else {
    return undefined
  }
  return machines[machine] ?? 'another machine'
}

const HEAD = 4096

/**
 * The beginning of a file, filled up with zeros, and the file's size.
 *
 * @param {string} file
 */
function head(file) {
  const bytes = Buffer.alloc(HEAD)
  const descriptor = fs.openSync(file, 'r')
  try {
    fs.readSync(descriptor, bytes, 0, HEAD, 0)
    return { bytes, size: fs.fstatSync(descriptor).size }
  } finally {
    fs.closeSync(descriptor)
  }
}

/**
 * @param {string} what
 * @param {string} advice
 * @param {unknown} [cause]
 * @returns {never}
 */
function fail(what, advice, cause) {
  throw new Error(`tcs-secret-delivery: ${what}\n${advice}`, cause === undefined ? undefined : { cause })
}

module.exports = load()
