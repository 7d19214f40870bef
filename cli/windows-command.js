'use strict'

// How a command is started on Windows: `npm`, `npx` and others are `.cmd` files, which only cmd.exe can start, and which are found by
// the extensions of PATHEXT. The quoting is that of the package cross-spawn, with which the tests compare it.

const fs = require('node:fs')
const path = require('node:path')

/** What cmd.exe takes for itself. */
const SPECIAL = /([()\][%!^"`<>&|;, *?])/g
/** Programs that Windows starts without a shell. */
const PROGRAM = /\.(?:com|exe)$/i
/** Files that npm writes, which hand their arguments to cmd.exe once more. */
const SHIM = /node_modules[\\/]\.bin[\\/][^\\/]+\.cmd$/i

/** @typedef {Partial<Record<string, string>>} Variables */

/**
 * What `spawn` is given.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {Variables} env
 * @param {(file: string) => boolean} [isFile]
 * @returns {{ file: string, args: string[], options: { windowsVerbatimArguments?: boolean } }}
 */
function windowsCommand(command, args, env, isFile = exists) {
  const found = located(command, env, isFile)
  if (found === undefined || PROGRAM.test(found)) return { file: found ?? command, args, options: {} }
  const isShim = SHIM.test(found)
  // The whole path: cmd.exe would look into the working directory first.
  const line = [escaped(path.win32.normalize(found)), ...args.map((arg) => argument(arg, isShim))].join(' ')
  const shell = variable(env, 'ComSpec') ?? 'cmd.exe'
  return { file: shell, args: ['/d', '/s', '/c', `"${line}"`], options: { windowsVerbatimArguments: true } }
}

/**
 * The file that a command names: in PATH, unless it has a folder, and with an extension of PATHEXT, unless it has one.
 *
 * @param {string} command
 * @param {Variables} env
 * @param {(file: string) => boolean} isFile
 */
function located(command, env, isFile) {
  const extensions = (variable(env, 'PATHEXT') || '.COM;.EXE;.BAT;.CMD').split(';').filter((one) => one !== '')
  const folders = /[\\/]/.test(command)
    ? ['']
    : (variable(env, 'PATH') ?? '').split(';').map((folder) => folder.replace(/^"(.*)"$/, '$1'))
  const own = path.win32.extname(command).toUpperCase()
  const endings = extensions.some((one) => one.toUpperCase() === own) ? ['', ...extensions] : extensions
  for (const folder of folders) {
    for (const ending of endings) {
      const file = folder === '' ? `${command}${ending}` : path.win32.join(folder, `${command}${ending}`)
      if (isFile(file)) return file
    }
  }
  return undefined
}

/** A variable, whatever the case of its name. @param {Variables} env @param {string} name */
function variable(env, name) {
  const key = Object.keys(env).find((one) => one.toUpperCase() === name.toUpperCase())
  return key === undefined ? undefined : env[key]
}

/** @param {string} text @param {boolean} isShim */
function argument(text, isShim) {
  // Backslashes count only before a quote. See https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments.
  const quoted = `"${text.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\*)$/, '$1$1')}"`
  return isShim ? escaped(escaped(quoted)) : escaped(quoted)
}

/** @param {string} text */
function escaped(text) {
  return text.replace(SPECIAL, '^$1')
}

/** @param {string} file */
function exists(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false
}

module.exports = { windowsCommand }
