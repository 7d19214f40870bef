'use strict'

// Packs what would be published: the main package, with its platform packages as optional dependencies, and the
// package of this platform. Usage: node scripts/package.js [directory, default .tmp/package]

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..')
const windows = process.platform === 'win32'

/** @param {string} file */
const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'))

/**
 * @param {string} into
 * @returns {{ main: string, platform: string, platformPackage: string }} Paths of the tarballs, and the platform
 *   package's name.
 */
function pack(into) {
  fs.rmSync(into, { recursive: true, force: true })
  fs.mkdirSync(into, { recursive: true })
  const directory = path.join(root, 'npm')
  const platforms = fs.readdirSync(directory)
  const binary = fs.readdirSync(root).find((name) => name.endsWith('.node'))
  const suffix = binary?.slice('tcs-secret-delivery.'.length, -'.node'.length)
  if (binary === undefined || suffix === undefined || !platforms.includes(suffix)) {
    throw new Error(`no addon of a supported platform beside package.json (found ${binary}): run 'npm run build' first`)
  }
  const manifest = readJson(path.join(directory, suffix, 'package.json'))
  const platform = tarball(into, manifest, [[path.join(root, binary), binary]], path.join(directory, suffix))
  const published = readJson(path.join(root, 'package.json'))
  for (const development of ['scripts', 'devDependencies', 'overrides', 'napi']) delete published[development]
  published.optionalDependencies = Object.fromEntries(
    platforms.map((name) => [readJson(path.join(directory, name, 'package.json')).name, published.version]),
  )
  const main = tarball(into, published, [], root)
  return { main, platform, platformPackage: manifest.name }
}

/**
 * @param {string} into
 * @param {any} manifest
 * @param {[string, string][]} extra Files from elsewhere and their names.
 * @param {string} from
 * @returns {string}
 */
function tarball(into, manifest, extra, from) {
  const stage = path.join(into, manifest.name)
  fs.mkdirSync(stage, { recursive: true })
  const wanted = [...manifest.files, 'README.md', 'LICENSE'].filter((name) => fs.existsSync(path.join(from, name)))
  for (const name of wanted) fs.cpSync(path.join(from, name), path.join(stage, name), { recursive: true })
  for (const [source, name] of extra) fs.copyFileSync(source, path.join(stage, name))
  fs.writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  const printed = execFileSync('npm', ['pack', '--json', '--pack-destination', into, '--loglevel=error'], {
    cwd: stage,
    encoding: 'utf8',
    shell: windows,
  })
  const packed = JSON.parse(printed)
  // An array before npm 12, an object by name since.
  const { filename } = Array.isArray(packed) ? packed[0] : packed[manifest.name]
  return path.join(into, filename)
}

if (require.main === module) {
  const { main, platform } = pack(path.resolve(process.argv[2] ?? path.join(root, '.tmp', 'package')))
  console.log(`${main}\n${platform}`)
}

module.exports = { pack }
