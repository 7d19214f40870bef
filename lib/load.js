'use strict'

// Finds the binary of this platform, also in a bundle (docs/bundlers.md), checks it before it is loaded (loading a truncated
// one would crash the process), and says what to do when it is missing or is the wrong one.

const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const { fileURLToPath } = require('node:url')
const { version } = require('../package.json')

const OVERRIDE = 'TCS_SECRET_DELIVERY_BINARY'
const PLATFORMS = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
]

/** @typedef {typeof import('../native')} Native */

/** @returns {Native} */
function load() {
  // Blanks and line ends around it are none of it, as with other variables.
  const override = process.env[OVERRIDE]?.trim()
  if (override) {
    const advice = `It is named by ${OVERRIDE}: let that name the binary for ${here()}, or unset it.`
    return fromFile(overridden(override), advice)
  }
  const wanted = here()
  if (!PLATFORMS.includes(wanted)) {
    const known = PLATFORMS.join(', ')
    fail(`there is no binary for ${wanted}.`, `There are: ${known}. Build one: 'npm run build' in the sources.`)
  }
  // Only a module that Node itself loaded from a file has a `filename`. A bundler's `module` object has none.
  const { filename } = /** @type {{ filename?: unknown }} */ (module)
  return typeof filename === 'string' && path.isAbsolute(filename) ? installed(wanted, filename) : bundled(wanted)
}

/**
 * Checks a file, and loads it.
 *
 * @param {string} file
 * @param {string} advice What to do when the file is not the right one.
 * @returns {Native}
 */
function fromFile(file, advice) {
  const wrong = defect(file)
  if (wrong !== undefined) fail(`${file} ${wrong}.`, refusalOf(/\((E\w+)\)$/.exec(wrong)?.[1], wrong) ?? advice)
  let native
  try {
    // Not this module's own `require`: bundlers replace that one, and cannot replace this one.
    native = createRequire(file)(file)
  } catch (cause) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (cause)
    fail(`${file} could not be loaded: ${message}`, refusalOf(code, message) ?? advice, cause)
  }
  return ofThisVersion(native, file, advice)
}

/**
 * What to do where it is not the file that is wrong.
 *
 * @param {string | undefined} code
 * @param {string} message
 */
function refusalOf(code, message) {
  if (code === 'ERR_DLOPEN_DISABLED') {
    return `Node.js was told to load no addons: leave out --no-addons, or add --allow-addons where --permission is used (NODE_OPTIONS counts as well).`
  }
  if (code === 'EACCES')
    return 'This user may not read it: give the file and the folders above it the right to be read.'
  if (message.includes('failed to map segment')) {
    return `Its file system does not allow programs (noexec, or a security module): mount it with exec, or copy the file to one that does and name it by ${OVERRIDE}.`
  }
  return undefined
}

/**
 * @param {any} native
 * @param {string} where
 * @param {string} advice
 * @returns {Native}
 */
function ofThisVersion(native, where, advice) {
  if (native.VERSION === version) return started(native)
  const found = native.VERSION === undefined ? 'is another addon' : `is of version ${native.VERSION}`
  return fail(`${where} ${found}; version ${version} of the package needs its own.`, advice)
}

/**
 * The addon, unless the system gave it no threads or no descriptors: everything it is asked for would wait for ever.
 *
 * @param {Native} native
 * @returns {Native}
 */
function started(native) {
  const refused = native.refusedBySystem()
  if (refused === null) return native
  const advice = [
    `Raise the limit and start the process again: open files ('ulimit -n', LimitNOFILE), or processes and threads`,
    `('ulimit -u', pids.max of the container). A process that leaks descriptors shows them in /proc/PID/fd.`,
  ]
  return fail(`the system does not give this process what it needs to start: ${refused}.`, advice.join(' '))
}

/** @param {string} file */
function overridden(file) {
  if (!path.isAbsolute(file) || !file.endsWith('.node')) {
    fail(`${OVERRIDE} is '${file}'.`, `It has to be the absolute path of a .node file.`)
  }
  return file
}

/**
 * The binary that was built in this checkout, else that of the platform's package.
 *
 * @param {string} wanted
 * @param {string} filename This file.
 */
function installed(wanted, filename) {
  const { resolve } = createRequire(filename)
  const built = path.join(path.dirname(filename), '..', binaryOf(wanted))
  let file = built
  if (!fs.existsSync(built)) {
    try {
      file = resolve(packageOf(wanted))
    } catch (cause) {
      fail(
        `no binary for ${wanted} is installed (Node ${process.versions.node}).`,
        missing(wanted, (name) => resolve(packageOf(name))),
        cause,
      )
    }
  }
  return fromFile(file, `Install it anew: remove node_modules, then run 'npm install' on this machine.`)
}

/**
 * In a bundle, the binary is what the bundler put there; else it is a file beside the bundle, or in a `node_modules`
 * folder that the bundle can see.
 *
 * @param {string} wanted
 * @returns {Native}
 */
function bundled(wanted) {
  const advice = [
    'Make the bundle anew with the binary of this version; docs/bundlers.md of the package has a recipe for each bundler.',
    'A webpack rule for .node files (node-loader) has to leave this package out: exclude: /tcs-secret-delivery/.',
  ].join('\n')
  const { given, cause } = packed(wanted)
  const name = given && nameOf(given)
  if (given !== undefined && name === undefined) {
    return ofThisVersion(given, `the binary for ${wanted} in this bundle`, advice)
  }
  for (const file of [name, binaryOf(wanted)].flatMap((file) => (file === undefined ? [] : candidates(file)))) {
    if (fs.existsSync(file)) return fromFile(file, advice)
  }
  for (const place of places()) {
    let file
    try {
      file = createRequire(path.join(place, 'bundle.js')).resolve(packageOf(wanted))
    } catch {
      continue
    }
    return fromFile(file, advice)
  }
  const why = cause instanceof Error ? `\nThe bundler's own require said: ${cause.message.split('\n', 1)[0]}` : ''
  return fail(`this bundle has no binary for ${wanted} (Node ${process.versions.node}).`, leftOut(wanted) + why, cause)
}

/**
 * What a bundler puts into the bundle. Bundlers read these calls: each name stands here in full, and all of them inside
 * one `try`, so that the packages of other platforms may be missing.
 *
 * @param {string} wanted
 * @returns {{ given?: any, cause?: unknown }}
 */
function packed(wanted) {
  try {
    switch (wanted) {
      case 'linux-x64-gnu':
        return { given: require('tcs-secret-delivery-linux-x64-gnu') }
      case 'linux-arm64-gnu':
        return { given: require('tcs-secret-delivery-linux-arm64-gnu') }
      case 'linux-x64-musl':
        return { given: require('tcs-secret-delivery-linux-x64-musl') }
      case 'linux-arm64-musl':
        return { given: require('tcs-secret-delivery-linux-arm64-musl') }
      case 'darwin-x64':
        return { given: require('tcs-secret-delivery-darwin-x64') }
      case 'darwin-arm64':
        return { given: require('tcs-secret-delivery-darwin-arm64') }
      case 'win32-x64-msvc':
        return { given: require('tcs-secret-delivery-win32-x64-msvc') }
      default:
        return { given: require('tcs-secret-delivery-win32-arm64-msvc') }
    }
  } catch (cause) {
    return { cause }
  }
}

/**
 * The name of a file that the bundler wrote beside the bundle, where its `require` gives that in place of the binary:
 * webpack gives a URL (`webpack.mjs` of the platform's package), esbuild's loader `file` a relative path.
 *
 * @param {any} given
 * @returns {string | undefined}
 */
function nameOf(given) {
  const name = given.default ?? given
  if (name instanceof URL || /^file:/.test(name)) return fileURLToPath(name)
  return typeof name === 'string' ? name : undefined
}

/**
 * Where a file of this name can be.
 *
 * @param {string} name
 */
const candidates = (name) => places().map((place) => path.resolve(place, name))

/** Folders that a bundle's files can lie in: that of the bundle, of the script that was started, and of an executable. */
function places() {
  const found = new Set()
  // Bun writes the path of this source file, as it was on the machine that made the bundle, in place of `__filename`.
  if (typeof __filename === 'string' && path.isAbsolute(__filename) && path.basename(__filename) !== 'load.js') {
    found.add(path.dirname(__filename))
  }
  const [, script] = process.argv
  if (typeof script === 'string' && path.isAbsolute(script)) found.add(path.dirname(script))
  if (!/^(node|bun|deno)/i.test(path.basename(process.execPath))) found.add(path.dirname(process.execPath))
  return [...found]
}

/** @param {string} platform */
const packageOf = (platform) => `tcs-secret-delivery-${platform}`

/** @param {string} platform */
const binaryOf = (platform) => `tcs-secret-delivery.${platform}.node`

/** @param {string} wanted */
function leftOut(wanted) {
  return [
    `The bundler left it out, or the bundle was made on another kind of machine. One of these helps; docs/bundlers.md of`,
    `the package has a recipe for each bundler:`,
    `  1. keep the package out of the bundle (esbuild and Bun: --external, webpack: externals, Next.js:`,
    `     serverExternalPackages), and deploy node_modules with it`,
    `  2. let the bundler copy .node files (esbuild: --loader:.node=copy, webpack: node-loader)`,
    `  3. put ${binaryOf(wanted)} of the package ${packageOf(wanted)} beside the bundle`,
    `  4. let ${OVERRIDE} name that file`,
  ].join('\n')
}

/**
 * @param {string} wanted
 * @param {(platform: string) => string} resolve
 */
function missing(wanted, resolve) {
  const others = PLATFORMS.filter((name) => {
    try {
      return resolve(name)
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
