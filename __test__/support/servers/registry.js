'use strict'

// A package registry on loopback that has the packed package, the packages of all its platforms, and what it depends on.

const { createHash } = require('node:crypto')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { pack } = require('../../../tools/release/package')
const { root, temporaryDirectory } = require('../files')

/** A publication date in the past: package managers refuse very new packages. */
const PUBLISHED = '2020-01-01T00:00:00.000Z'

class Registry {
  #server
  #directory

  /** @param {http.Server} server @param {string} directory @param {string[]} downloaded Names of the packages whose tarballs were asked for. */
  constructor(server, directory, downloaded) {
    this.#server = server
    this.#directory = directory
    this.downloaded = downloaded
    this.url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`
  }

  static async start() {
    const directory = temporaryDirectory('tcs-registry-')
    const { main, platforms } = pack(path.join(directory, 'own'))
    /** Tarballs by package. @type {Map<string, string>} */
    const tarballs = new Map(Object.entries({ 'tcs-secret-delivery': main, ...platforms }))
    // The packages of other platforms have no binary here, and must not be requested.
    const others = fs.readdirSync(path.join(root, 'npm')).filter((name) => !tarballs.has(`tcs-secret-delivery-${name}`))
    const folders = [
      ...others.map((name) => path.join(root, 'npm', name)),
      path.join(root, 'node_modules', 'commander'),
      path.join(root, 'node_modules', 'yaml'),
    ]
    const args = ['pack', ...folders, '--pack-destination', directory, '--loglevel=error', '--json']
    const printed = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', shell: process.platform === 'win32' }))
    // An array before npm 12, an object by name since.
    for (const { name, filename } of Object.values(printed)) tarballs.set(name, path.join(directory, filename))

    /** @type {string[]} */
    const downloaded = []
    const server = http.createServer((request, response) => {
      const [name, file] = decodeURIComponent(request.url ?? '')
        .slice(1)
        .split('/-/')
      const tarball = tarballs.get(name)
      if (tarball === undefined) return response.writeHead(404).end('{}')
      if (file !== undefined) {
        downloaded.push(name)
        return response.end(fs.readFileSync(tarball))
      }
      const answer = describe(name, tarball, `http://${request.headers.host}/${name}/-/${path.basename(tarball)}`)
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
    return new Registry(server, directory, downloaded)
  }

  async stop() {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    fs.rmSync(this.#directory, { recursive: true })
  }
}

/** The document of a package in a registry. @param {string} name @param {string} file @param {string} url */
function describe(name, file, url) {
  const manifest = JSON.parse(execFileSync('tar', ['-xzOf', file, 'package/package.json'], { encoding: 'utf8' }))
  const bytes = fs.readFileSync(file)
  const dist = {
    tarball: url,
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    shasum: createHash('sha1').update(bytes).digest('hex'),
  }
  return {
    name,
    'dist-tags': { latest: manifest.version },
    time: { created: PUBLISHED, modified: PUBLISHED, [manifest.version]: PUBLISHED },
    versions: { [manifest.version]: { ...manifest, dist } },
  }
}

module.exports = { Registry }
