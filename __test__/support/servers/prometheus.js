'use strict'

const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { root, temporaryDirectory } = require('../files')
const { request } = require('../request')
const { Server, accepts, freePort } = require('./server')

/** Prometheus, scraping services under the job `service`, with the rules of ops/prometheus. */
class PrometheusServer {
  /** @param {Server} server @param {string} url @param {string} directory */
  constructor(server, url, directory) {
    this.server = server
    this.url = url
    this.directory = directory
  }

  /**
   * @param {string[]} targets Each `host:port`.
   * @param {number} [scrapeSeconds] From one scrape to the next.
   * @returns {Promise<PrometheusServer>}
   */
  static async start(targets, scrapeSeconds = 1) {
    const directory = temporaryDirectory()
    const config = {
      global: { scrape_interval: `${scrapeSeconds}s`, evaluation_interval: '1s' },
      rule_files: [path.join(root, 'ops', 'prometheus', 'secret-delivery.rules.yml')],
      scrape_configs: [{ job_name: 'service', static_configs: [{ targets }] }],
    }
    // JSON is valid YAML.
    fs.writeFileSync(path.join(directory, 'prometheus.yml'), JSON.stringify(config))
    const port = await freePort()
    const server = new Server('prometheus', [
      `--config.file=${path.join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${path.join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ])
    const url = `http://127.0.0.1:${port}`
    await server.ready(async () => (await accepts(port)) && (await isReady(`${url}/-/ready`)))
    return new PrometheusServer(server, url, directory)
  }

  /** @param {string} expression @returns {Promise<{ metric: Record<string, string>, value: [number, string] }[]>} */
  async query(expression) {
    const answer = await request(`${this.url}/api/v1/query?query=${encodeURIComponent(expression)}`)
    return answer.data.result
  }

  /**
   * @param {string} expression
   * @param {{ from: number, to: number, step: number }} range Seconds since 1970, and the step in seconds.
   * @returns {Promise<{ metric: Record<string, string>, values: [number, string][] }[]>}
   */
  async queryRange(expression, { from, to, step }) {
    const parameters = new URLSearchParams({
      query: expression,
      start: String(from),
      end: String(to),
      step: String(step),
    })
    const answer = await request(`${this.url}/api/v1/query_range?${parameters}`)
    return answer.data.result
  }

  async stop() {
    await this.server.stop()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}

/** @param {string} url @returns {Promise<boolean>} */
function isReady(url) {
  return new Promise((resolve) => {
    const call = http.get(url, { agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    call.once('error', () => resolve(false))
  })
}

module.exports = { PrometheusServer }
