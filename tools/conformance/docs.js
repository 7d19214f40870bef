'use strict'

// Writes the tables of docs/conformance.md: asks the three stand-ins that the set-up installs. Usage:
// node tools/conformance/docs.js

const fs = require('node:fs')
const path = require('node:path')
const { AwsEndpoint } = require('../../__test__/support/servers/aws-endpoint')
const { MiniStack } = require('../../__test__/support/servers/ministack')
const { Moto } = require('../../__test__/support/servers/moto')
const { root } = require('../../__test__/support/files')
const { RULES, conformance, knownIn } = require('./run')
const { counts, resultsTable, rulesTable } = require('./table')

const PAGE = path.join(root, 'docs', 'conformance.md')

/** @typedef {keyof typeof PLACES} Place */

/** The stand-ins, by the name of their file of known differences. */
const PLACES = {
  'aws-endpoint': () => AwsEndpoint.start(),
  moto: () => Moto.start(),
  ministack: () => MiniStack.start(),
}

/** @param {Place} name */
const known = (name) => knownIn(path.join(__dirname, 'known', `${name}.json`))

/** Asks one of them. @param {Place} name */
async function asked(name) {
  const server = await PLACES[name]()
  try {
    // Only our own endpoint can play another service that manages a secret.
    const owned = server instanceof AwsEndpoint ? await ownedSecret(server) : undefined
    if (server instanceof AwsEndpoint) await server.role('arn:aws:iam::000000000000:role/tcs-conformance')
    return await conformance({ endpoint: server.url, region: 'us-east-1', owned })
  } finally {
    await server.stop()
  }
}

/** @param {AwsEndpoint} aws @returns {Promise<string>} */
async function ownedSecret(aws) {
  const name = 'rds!db-conformance'
  await aws.region('us-east-1')
  await aws.put({ [name]: '{"username":"app","password":"x"}' })
  await aws.keeper(name, { rotationEnabled: true, nextRotationUnixSeconds: 2_000_000_000, owningService: 'rds' })
  return name
}

/** The part of the page about one of them. @param {Place} name @param {import('./run').Row[]} rows */
function part(name, rows) {
  const differences = Object.entries(known(name)).map(([id, why]) => `- \`${id}\`: ${why}.`)
  return `${counts(rows)}\n\nKnown differences:\n\n${differences.join('\n')}\n\n${resultsTable(rows, known(name))}`
}

/** The page with a part exchanged. @param {string} page @param {string} name @param {string} text */
function filled(page, name, text) {
  const [start, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->\n`]
  const [from, to] = [page.indexOf(start), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/conformance.md has no place for ${name}`)
  return `${page.slice(0, from + start.length)}\n${text}\n${page.slice(to)}`
}

/** @param {string} page */
const withRules = (page) => filled(page, 'rules', rulesTable(RULES))

async function main() {
  let page = withRules(fs.readFileSync(PAGE, 'utf8'))
  for (const name of /** @type {Place[]} */ (Object.keys(PLACES))) {
    page = filled(page, name, part(name, (await asked(name)).rows))
  }
  fs.writeFileSync(PAGE, page)
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
}

module.exports = { PAGE, PLACES, asked, filled, known, part, withRules }
