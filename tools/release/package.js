'use strict'

// Packs what would be published: the main package, with its platform packages as optional dependencies, and the
// package of each platform whose addon lies beside package.json.
// Usage: node tools/release/package.js [directory, default .tmp/package]

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..', '..')
/** The size limit of an installed platform package. */
const MOST_MIB = 12
const windows = process.platform === 'win32'

/** @param {string} file */
const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'))

/**
 * @param {string} into
 * @returns {{ main: string, platforms: Record<string, string> }} Paths of the tarballs; the platforms' by their names.
 */
function pack(into) {
  fs.rmSync(into, { recursive: true, force: true })
  fs.mkdirSync(into, { recursive: true })
  const directory = path.join(root, 'npm')
  const manifests = fs.readdirSync(directory).map((name) => readJson(path.join(directory, name, 'package.json')))
  const built = manifests.filter(({ main }) => fs.existsSync(path.join(root, main)))
  if (built.length === 0) throw new Error(`no addon beside package.json: run 'npm run build' first`)
  const platforms = Object.fromEntries(
    built.map((manifest) => {
      const from = path.join(directory, manifest.name.slice('tcs-secret-delivery-'.length))
      return [manifest.name, tarball(into, manifest, [[path.join(root, manifest.main), manifest.main]], from)]
    }),
  )
  const published = readJson(path.join(root, 'package.json'))
  for (const development of ['scripts', 'devDependencies', 'overrides', 'napi']) delete published[development]
  published.optionalDependencies = Object.fromEntries(manifests.map(({ name }) => [name, published.version]))
  const main = tarball(into, published, [], root)
  return { main, platforms }
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
  const wanted = [...manifest.files, 'README.md'].filter((name) => fs.existsSync(path.join(from, name)))
  for (const name of wanted) fs.cpSync(path.join(from, name), path.join(stage, name), { recursive: true })
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(stage, 'LICENSE'))
  for (const [source, name] of extra) fs.copyFileSync(source, path.join(stage, name))
  fs.writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify({ ...manifest, ...repository() }, null, 2)}\n`)
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

/** The repository of the release workflow. npm compares it with the provenance of published packages. */
function repository() {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
  if (GITHUB_REPOSITORY === undefined) return {}
  return { repository: { type: 'git', url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` } }
}

if (require.main === module) {
  const { main, platforms } = pack(path.resolve(process.argv[2] ?? path.join(root, '.tmp', 'package')))
  console.log([main, ...Object.values(platforms)].join('\n'))
}

module.exports = { MOST_MIB, pack }
