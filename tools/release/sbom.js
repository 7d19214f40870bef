'use strict'

// Prints a list of all that is in the published packages (CycloneDX): the npm packages, and the crates in the binary.
// Usage: node tools/release/sbom.js [target of Rust, default: every target of package.json]

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..', '..')
/** The package, and the crate of its binary. */
const ADDON = 'tcs-secret-delivery'

/** @param {string} command @param {string[]} args */
function json(command, args) {
  const shell = process.platform === 'win32'
  return JSON.parse(execFileSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28, shell }))
}

/**
 * The crates that are linked into the addon, without those that only build or test it.
 *
 * @param {string} target
 * @returns {Map<string, { crate: any, needs: string[] }>} By id, the addon first.
 */
function crates(target) {
  const args = ['metadata', '--locked', '--format-version', '1', '--filter-platform', target]
  const { packages, resolve } = json('cargo', args)
  const byId = new Map(packages.map((/** @type {any} */ crate) => [crate.id, crate]))
  const nodes = new Map(resolve.nodes.map((/** @type {any} */ node) => [node.id, node]))
  const found = new Map()
  /** @param {string} id */
  const visit = (id) => {
    if (found.has(id)) return
    const needs = nodes
      .get(id)
      .deps.filter((/** @type {any} */ one) => one.dep_kinds.some((/** @type {any} */ { kind }) => kind === null))
      .map((/** @type {any} */ one) => one.pkg)
    found.set(id, { crate: byId.get(id), needs })
    needs.forEach(visit)
  }
  visit(packages.find((/** @type {any} */ { name, source }) => name === ADDON && source === null).id)
  return found
}

/** SHA-256 by `name@version`, from Cargo.lock. */
function checksums() {
  const entries = fs
    .readFileSync(path.join(root, 'Cargo.lock'), 'utf8')
    .matchAll(/^name = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"$/gm)
  return new Map([...entries].map(([, name, version, checksum]) => [`${name}@${version}`, checksum]))
}

/** @param {string[]} targets */
function sbom(targets) {
  const document = json('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'])
  // npm calls it by its folder.
  document.metadata.component.name = ADDON
  const hashes = checksums()
  const purl = (/** @type {any} */ { name, version }) => `pkg:cargo/${name}@${version}`
  /** @type {ReturnType<typeof crates>} */
  const linked = new Map()
  for (const target of targets) {
    for (const [id, { crate, needs }] of crates(target)) {
      linked.set(id, { crate, needs: [...(linked.get(id)?.needs ?? []), ...needs] })
    }
  }
  for (const { crate, needs } of linked.values()) {
    const hash = hashes.get(`${crate.name}@${crate.version}`)
    document.components.push({
      type: 'library',
      'bom-ref': purl(crate),
      name: crate.name,
      version: crate.version,
      purl: purl(crate),
      licenses: [{ expression: crate.license.replaceAll(/\s*\/\s*/g, ' OR ') }],
      ...(hash === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: hash }] }),
    })
    const dependsOn = needs.map((id) => purl(linked.get(id)?.crate))
    document.dependencies.push({ ref: purl(crate), dependsOn: [...new Set(dependsOn)].sort() })
  }
  // The package needs its addon.
  const own = document.metadata.component['bom-ref']
  const [addon] = linked.values()
  document.dependencies.find((/** @type {any} */ { ref }) => ref === own).dependsOn.push(purl(addon.crate))
  return document
}

if (require.main === module) {
  const { napi } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const targets = process.argv.length > 2 ? process.argv.slice(2) : napi.targets
  console.log(JSON.stringify(sbom(targets), null, 2))
}

module.exports = { sbom }
