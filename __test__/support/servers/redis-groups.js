'use strict'

// Several Redis servers that belong together: a cluster, and a primary with its Sentinel.

const fs = require('node:fs')
const path = require('node:path')
const { temporaryDirectory } = require('../files')
const { until } = require('../until')
const { RedisServer } = require('./redis')
const { Server, accepts, freePort } = require('./server')

/** A cluster of three, each with a third of the slots. */
class RedisCluster {
  #directory

  /** @param {RedisServer[]} nodes @param {string} directory */
  constructor(nodes, directory) {
    this.nodes = nodes
    this.#directory = directory
  }

  static async start() {
    const directory = temporaryDirectory()
    const ports = await Promise.all([freePort(), freePort(), freePort()])
    const bus = (/** @type {number} */ port) => String(port > 55_000 ? port - 10_000 : port + 10_000)
    const nodes = await Promise.all(
      ports.map((port) => {
        const files = ['--dir', directory, '--cluster-config-file', `${port}.conf`]
        return RedisServer.start({ port, args: ['--cluster-enabled', 'yes', '--cluster-port', bus(port), ...files] })
      }),
    )
    const cluster = new RedisCluster(nodes, directory)
    try {
      const slots = [
        ['0', '5460'],
        ['5461', '10922'],
        ['10923', '16383'],
      ]
      await Promise.all(nodes.map((node, i) => node.command('CLUSTER', 'ADDSLOTSRANGE', ...slots[i])))
      for (const { port } of nodes.slice(1)) {
        await nodes[0].command('CLUSTER', 'MEET', '127.0.0.1', String(port), bus(port))
      }
      await until('the cluster is complete', async () => {
        const states = await cluster.all('CLUSTER', 'INFO')
        return states.every((state) => state.includes('cluster_state:ok') && state.includes('cluster_known_nodes:3'))
      })
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** @param {string} [user] `name:password@` */
  url(user = '') {
    const [first, second] = this.nodes
    return `redis+cluster://${user}127.0.0.1:${first.port},127.0.0.1:${second.port}`
  }

  /** Runs one command on each node. @param {...string} words @returns {Promise<any[]>} */
  all(...words) {
    return Promise.all(this.nodes.map((node) => node.command(...words)))
  }

  /** Puts the slot of `key` into the state of being moved between two nodes. @param {string} key */
  async beginToMove(key) {
    const slot = await this.nodes[0].command('CLUSTER', 'KEYSLOT', key)
    const from = slot <= 5460 ? 0 : slot <= 10_922 ? 1 : 2
    const [old, next] = [this.nodes[from], this.nodes[(from + 1) % 3]]
    const [oldId, nextId] = await Promise.all([old, next].map((node) => node.command('CLUSTER', 'MYID')))
    await next.command('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', oldId)
    await old.command('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', nextId)
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()))
    fs.rmSync(this.#directory, { recursive: true })
  }
}

/** A server, and a Sentinel that knows it as `main`. */
class RedisSentinel {
  #directory

  /** @param {RedisServer} primary @param {RedisServer} sentinel @param {string} directory */
  constructor(primary, sentinel, directory) {
    this.primary = primary
    this.sentinel = sentinel
    this.#directory = directory
  }

  static async start() {
    const [primary, port, directory] = [await RedisServer.start(), await freePort(), temporaryDirectory()]
    const file = path.join(directory, 'sentinel.conf')
    const watched = `sentinel monitor main 127.0.0.1 ${primary.port} 1`
    fs.writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${directory}\n${watched}\n`)
    const server = new Server('redis-server', [file, '--sentinel'])
    const group = new RedisSentinel(primary, new RedisServer(server, port, undefined), directory)
    try {
      await server.ready(() => accepts(port))
      return group
    } catch (error) {
      await group.stop()
      throw error
    }
  }

  /** @param {string} [user] `name:password@` */
  url(user = '') {
    return `redis+sentinel://${user}127.0.0.1:${this.sentinel.port}/main`
  }

  async stop() {
    await Promise.all([this.sentinel.stop(), this.primary.stop()])
    fs.rmSync(this.#directory, { recursive: true })
  }
}

module.exports = { RedisCluster, RedisSentinel }
