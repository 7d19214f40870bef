'use strict'

// Packs what would be published: the main package, with its platform packages as optional dependencies, and the
// package of each platform whose addon lies beside package.json.
// Usage: node tools/release/package.js [directory, default .tmp/package]

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '..', '..')
/** The size limit of an installed platform package. */
const MOST_MIB = 13
/** The licences of all that is linked into the addon; tools/release/licenses.js writes it. */
const LICENSES = 'THIRD-PARTY-LICENSES'
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
      const extra = [manifest.main, LICENSES].map(
        (name) => /** @type {[string, string]} */ ([path.join(root, name), name]),
      )
      return [manifest.name, tarball(into, { ...manifest, files: [...manifest.files, LICENSES] }, extra, from)]
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
  for (const name of wanted)
    fs.cpSync(path.join(from, name), path.join(stage, name), { recursive: true, filter: isSource })
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(stage, 'LICENSE'))
  for (const [source, name] of extra) fs.copyFileSync(source, path.join(stage, name))
  const described = { ...manifest, ...project() }
  fs.writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify(described, null, 2)}\n`)
  linkOutside(stage, described)
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

/** Not what builds and examples leave behind. @param {string} file */
const isSource = (file) => !/[/\\](?:dist|node_modules)$|\.jsonl$|\.log$/.test(file)

/** The repository and its pages: those of the release workflow where that runs. npm compares them with the provenance. */
function project() {
  const { repository, homepage, bugs } = readJson(path.join(root, 'package.json'))
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
  if (GITHUB_REPOSITORY === undefined) return { repository, homepage, bugs }
  const url = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}`
  return {
    repository: { type: 'git', url: `git+${url}.git` },
    homepage: `${url}#readme`,
    bugs: { url: `${url}/issues` },
  }
}

/**
 * Lets the links of packed pages that lead out of the package lead to the repository, at the tag of this version.
 *
 * @param {string} stage
 * @param {any} manifest
 */
function linkOutside(stage, { repository, version }) {
  const base = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/v${version}`
  const pages = fs.readdirSync(stage, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  for (const page of pages) {
    const file = path.join(stage, page)
    const text = fs
      .readFileSync(file, 'utf8')
      .replaceAll(/\]\(([^)\s#:]+)(#[^)\s]*)?\)/g, (whole, target, anchor = '') => {
        const linked = path.join(path.dirname(page), target)
        if (fs.existsSync(path.join(stage, linked))) return whole
        if (!fs.existsSync(path.join(root, linked))) throw new Error(`${page} links to ${target}, which does not exist`)
        return `](${base}/${linked.split(path.sep).join('/')}${anchor})`
      })
    fs.writeFileSync(file, text)
  }
}

if (require.main === module) {
  const { main, platforms } = pack(path.resolve(process.argv[2] ?? path.join(root, '.tmp', 'package')))
  console.log([main, ...Object.values(platforms)].join('\n'))
}

module.exports = { LICENSES, MOST_MIB, pack }
