#!/usr/bin/env node
'use strict'

const { main } = require('./main')

void main(process.argv).then((exit) => (process.exitCode = exit))
