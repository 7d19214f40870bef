'use strict'

// The failure lab, with faults as short as its proportions allow. `npm run lab` runs it in full.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { root } = require('../scripts/servers')

test('every bound of the failure lab is kept', async () => {
  const lab = spawn(process.execPath, [path.join(root, 'lab', 'run.js'), '--short'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [printed, errors] = ['', '']
  lab.stdout.on('data', (chunk) => (printed += chunk))
  lab.stderr.on('data', (chunk) => (errors += chunk))
  const [status] = await once(lab, 'close')
  if (status !== 0) throw new Error(`${printed}${errors}`)
  expect(printed.trim().split('\n').at(-1)).toMatch(/^lab: \d+ scenarios, every bound was kept$/)
}, 300_000)
