'use strict'

const { Pool } = require('pg')

/** A pool of connections that follows its secret: a URL such as `postgres://orders:…@db/orders`. */
class Database {
  #delivery
  /** @type {{ url: string, pool: Pool } | undefined} */
  #current
  /** Those before: they answer what they were asked, and lose their connections when these are idle for ten seconds. */
  #before = /** @type {Pool[]} */ ([])

  /** @param {import('tcs-secret-delivery').SecretDelivery} delivery */
  constructor(delivery) {
    this.#delivery = delivery
  }

  /**
   * When PostgreSQL refuses the password, withSecret asks AWS anew and calls again with what it has now.
   *
   * @param {string} sql
   * @param {unknown[]} [values]
   */
  query(sql, values) {
    return this.#delivery.withSecret('database', 'url', (url) => this.#poolOf(url).query(sql, values))
  }

  async close() {
    const pools = this.#current === undefined ? this.#before : [...this.#before, this.#current.pool]
    await Promise.all(pools.map((pool) => pool.end()))
  }

  /** @param {string} url */
  #poolOf(url) {
    if (this.#current?.url === url) return this.#current.pool
    if (this.#current !== undefined) this.#before.push(this.#current.pool)
    const pool = new Pool({ connectionString: url })
    // A connection that ends while nobody uses it: the pool opens another one.
    pool.on('error', ({ name }) => console.warn(`an idle connection ended (${name})`))
    this.#current = { url, pool }
    return pool
  }
}

module.exports = { Database }
