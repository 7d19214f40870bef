'use strict'

// Lets somebody change a text in an editor. The file is in a directory of its own, which only this user can enter, so that what an
// editor puts beside it is removed with it.

const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const fs = require('node:fs')
const path = require('node:path')
const { CliError, EXIT } = require('./exit')
const { privateDirectory } = require('./private-file')

/** Signals that end this program; the editor gets them too. A terminal sends Ctrl-C to the editor itself, which decides. */
const ENDING = /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGQUIT'])

/**
 * @param {string} text
 * @param {string} extension
 * @returns {Promise<string>}
 */
async function editText(text, extension) {
  const directory = privateDirectory('tcs-edit-')
  const remove = () => fs.rmSync(directory, { recursive: true, force: true })
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child
  const interrupted = () => {}
  const end = (/** @type {NodeJS.Signals} */ signal) => {
    child?.kill(signal)
    remove()
    process.exit(128 + constants.signals[signal])
  }
  process.on('SIGINT', interrupted)
  for (const signal of ENDING) process.on(signal, end)
  process.on('exit', remove)
  try {
    const file = path.join(directory, `value${extension}`)
    fs.writeFileSync(file, text, { mode: 0o600, flag: 'wx' })
    const editor = process.env.VISUAL || process.env.EDITOR || (process.platform === 'win32' ? 'notepad' : 'vi')
    child = started(editor, file)
    const status = await new Promise((resolve, reject) => {
      child?.once('error', reject)
      child?.once('exit', (code, signal) => resolve(code ?? signal))
    })
    if (status !== 0) {
      throw new CliError(
        'EDITOR_FAILED',
        EXIT.usage,
        `the editor '${editor}' ended with ${status}; nothing was changed`,
      )
    }
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(fs.readFileSync(file))
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw new CliError('VALUE_UNFIT', EXIT.usage, 'the editor wrote no UTF-8 text; nothing was changed')
    }
    throw error
  } finally {
    remove()
    process.off('SIGINT', interrupted)
    for (const signal of ENDING) process.off(signal, end)
    process.off('exit', remove)
  }
}

/**
 * Starts an editor by a shell, as git does it: it may have arguments. The shell makes room for it, so that signals reach it.
 *
 * @param {string} editor
 * @param {string} file
 */
function started(editor, file) {
  if (process.platform === 'win32') return spawn(`${editor} "${file}"`, { shell: true, stdio: 'inherit' })
  const isSimple = /^[\w./+@~-]+(?:\s|$)/.test(editor) && !/[;&|]/.test(editor)
  return spawn('sh', ['-c', `${isSimple ? 'exec ' : ''}${editor} "$@"`, 'edit', file], { stdio: 'inherit' })
}

module.exports = { editText }
