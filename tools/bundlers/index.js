'use strict'

// The bundlers that tools/setup.js installs here, and a folder for the projects that tests bundle: the configuration of a
// bundler imports its plugins from here.

const fs = require('node:fs')
const path = require('node:path')

/**
 * The script of a program that one of the packages here has.
 *
 * @param {string} name A program's name, which a package of the same name has, or the package itself.
 */
function script(name) {
  const folders = [name, `@vercel/${name}`].map((one) => path.join(__dirname, 'node_modules', one))
  const folder = folders.find((one) => fs.existsSync(one))
  if (folder === undefined) throw new Error(`${name} is not installed here; 'npm test' does that`)
  const { bin } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  return path.join(folder, typeof bin === 'string' ? bin : bin[name])
}

/** A new folder below this one. */
function project() {
  const projects = path.join(__dirname, '.tmp')
  fs.mkdirSync(projects, { recursive: true })
  return fs.mkdtempSync(path.join(projects, 'project-'))
}

module.exports = { project, script }
