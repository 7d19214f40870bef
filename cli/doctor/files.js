'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { envFilePath } = require('../env-file')
const { isIgnored } = require('../git')
const { isOpen, modeOf } = require('../private-file')
const { finding } = require('./finding')

/** @typedef {import('./finding').Finding} Finding */

/**
 * @param {import('../../index').HealthReport} health
 * @param {import('../context').Config} config
 * @returns {Finding[]}
 */
function fileFindings({ environment, checks: { envFile } }, config) {
  const { cache } = config.options
  const snapshot = (cache || {}).snapshotPath ?? undefined
  return [
    ...envFileFindings(envFilePath(config, environment), envFile),
    ...(snapshot === undefined ? [] : modeFindings('snapshot', path.resolve(config.directory, snapshot))),
    ...configFindings(config),
  ]
}

/**
 * @param {string | null} file
 * @param {import('../../index').HealthCheck} check
 * @returns {Finding[]}
 */
function envFileFindings(file, { status, reason }) {
  if (file === null) return [finding('env file', 'note', 'none in this environment')]
  if (!fs.existsSync(file)) {
    const isLink = fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
    if (isLink)
      return [finding('env file', 'error', `${file} is a link that leads to no file`, 'correct or remove the link')]
    return [finding('env file', 'note', `${file} does not exist`)]
  }
  const found =
    status === 'down' || status === 'degraded'
      ? [finding('env file', 'error', reason ?? status, `repair or remove ${file}`)]
      : [...modeFindings('env file', file), ...encodingFindings(file)]
  if (isIgnored(file) !== false) return found
  const fix = `echo '${path.basename(file)}' >> ${path.join(path.dirname(file), '.gitignore')}`
  return [...found, finding('env file', 'warning', `git does not ignore ${file}`, fix)]
}

/**
 * PowerShell's `>` writes UTF-16, which is read here and by few other programs.
 *
 * @param {string} file
 */
function encodingFindings(file) {
  const start = Buffer.alloc(2)
  const handle = fs.openSync(file, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0))
  try {
    fs.readSync(handle, start, 0, 2, 0)
  } finally {
    fs.closeSync(handle)
  }
  const isUtf16 = ['fffe', 'feff'].includes(start.toString('hex'))
  return isUtf16 ? [finding('env file', 'warning', `${file} is UTF-16`, 'save it as UTF-8, for other programs')] : []
}

/** @param {string} check @param {string} file @returns {Finding[]} */
function modeFindings(check, file) {
  let stat
  try {
    stat = fs.statSync(file, { throwIfNoEntry: false })
  } catch (error) {
    // A circle of links, or a directory that may not be searched.
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    return [finding(check, 'error', `${file} cannot be used (${code})`, 'correct the path, its links and its rights')]
  }
  if (stat === undefined) return [finding(check, 'note', `${file} does not exist yet`)]
  if (!isOpen(stat)) return [finding(check, 'ok', `${file}, mode ${modeOf(stat)}`)]
  return [finding(check, 'warning', `others may read ${file} (mode ${modeOf(stat)})`, `chmod 600 ${file}`)]
}

/** Finds credentials and keys in a configuration file, which is usually committed. @param {import('../context').Config} config @returns {Finding[]} */
function configFindings({ file, options: { audit, aws, cache } }) {
  if (file === null || path.extname(file) !== '.json') return []
  const keys = cache === false ? undefined : cache?.encryptionKeys
  const auditKey = audit === false ? undefined : audit?.key
  const held = [
    ...(aws?.credentials === undefined ? [] : ['aws.credentials']),
    ...(keys === undefined ? [] : ['cache.encryptionKeys']),
    ...(auditKey === undefined ? [] : ['audit.key']),
  ]
  if (held.length === 0) return []
  const fix = 'use the AWS_* variables or a profile, TCS_CACHE_KEYS, and a .js file that reads audit.key from elsewhere'
  return [finding('configuration', 'warning', `${file} holds ${held.join(' and ')}`, fix)]
}

module.exports = { fileFindings }
