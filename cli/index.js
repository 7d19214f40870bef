#!/usr/bin/env node
'use strict'

const { main } = require('./main')
const { heedCtrlZ } = require('./stopping')

heedCtrlZ()
void main(process.argv).then((exit) => (process.exitCode = exit))
