'use strict'

// `npm run lab -- --accounting [ROUNDS] [ACCESSES]`: 50 rounds and 1,000,000 accesses in all unless said otherwise. Exit code
// 1 when the audit log accounts for another number of values than JavaScript received.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { AwsEndpoint } = require('../../__test__/support/servers/aws-endpoint')
const { account } = require('./run')
const { SECRETS } = require('./names')

async function main([rounds = '50', accesses = '1000000', hits = 'counted'] = process.argv.slice(2)) {
  const aws = await AwsEndpoint.start({ profile: 'release' })
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'accounting-'))
  try {
    await aws.put(SECRETS)
    const each = Math.ceil(Number(accesses) / Number(rounds))
    const { received, accounted, killed, megabytes, wrong } = await account({
      aws: aws.options,
      directory,
      rounds: Number(rounds),
      accesses: each,
      hits: hits === 'each' ? 'each' : 'counted',
      tell: console.log,
    })
    console.log(`${rounds} rounds, ${killed} killed: ${received} values received, ${accounted} accounted for`)
    console.log(`the log has ${megabytes.toFixed(1)} MiB`)
    for (const line of wrong) console.log(`WRONG: ${line}`)
    process.exitCode = wrong.length > 0 ? 1 : 0
  } finally {
    await aws.stop()
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

void main()
