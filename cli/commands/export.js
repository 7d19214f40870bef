'use strict'

const path = require('node:path')
const { Option } = require('commander')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { FORMATS } = require('../formats')
const { assertPrivate, refused, writeAtomically } = require('../private-file')
const { nothingOf, readTools } = require('../secrets')

/** @typedef {{ format: string, out?: string, reveal?: boolean, name?: string, namespace?: string }} Options */

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'export', {
    summary: "write a tool's secrets to a file",
    description:
      "Reads a tool's secrets as the service would and writes them to a file with mode 0600, atomically. The file holds the values in readable form: prefer 'run', which needs no file.",
    examples: [
      'export github --format dotenv --out github.env',
      'export database --format k8s --namespace shop --out secret.yaml',
      'export github --format shell --reveal',
    ],
    exits: {
      0: 'the file was written',
      1: 'a required secret is missing, or the format cannot hold a value',
      5: 'nothing was written; the message says why',
    },
  })
    .argument('<tool>', 'tool whose secrets are exported')
    .addOption(
      new Option('-f, --format <format>', 'format of the file; k8s is a Kubernetes Secret')
        .choices(Object.keys(FORMATS))
        .makeOptionMandatory(),
    )
    .option('-o, --out <file>', 'path of the file; an existing file must be readable by its owner only')
    .option('--reveal', 'print the values instead of writing a file')
    .option('--name <app>', "k8s: the Secret is named <app>-<environment>-secrets (default: the tool's name)")
    .option('--namespace <name>', 'k8s: namespace of the Secret')
    .action(handle(exportTool))
}

/**
 * @param {import('../context').Context} context
 * @param {string} tool
 * @param {Options} options
 */
async function exportTool(context, tool, { format, out, reveal, name, namespace }) {
  const { terminal } = context
  if (out === undefined && !reveal) {
    throw refused('the values would be printed: name a file with --out, or add --reveal to print them')
  }
  if (out === undefined && terminal.json) throw new CliError('USAGE', EXIT.usage, '--json needs --out')
  const file = out === undefined ? undefined : path.resolve(out)
  if (file !== undefined) assertPrivate(file)
  return context.withDelivery(async (delivery, config) => {
    const values = await readTools(delivery, config, [tool])
    const { environment } = delivery
    if (values.size === 0) throw nothingOf(tool, delivery, config)
    const app = name ?? tool.toLowerCase().replaceAll('_', '-')
    const text = /** @type {(typeof FORMATS)[string]} */ (FORMATS[format])(values, { app, environment, namespace })
    if (file === undefined) {
      terminal.reveal(text)
      return EXIT.ok
    }
    writeAtomically(file, text)
    const secrets = [...values.keys()]
    terminal.result(
      { tool, environment, format, file, secrets },
      ({ file, secrets }) => `${file}: ${secrets.join(', ')}\n`,
    )
    return EXIT.ok
  })
}
