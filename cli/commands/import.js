'use strict'

const { Option } = require('commander')
const { assertAsked, exitOf, planShown, planned, write, written } = require('../bulk')
const { define } = require('../define')
const { CliError, EXIT } = require('../exit')
const { matcher } = require('../glob')
const { FORMATS, formatOf, read } = require('../import-file')
const { readText } = require('../read-file')

/** @typedef {import('../import-file').Left} Left */

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'import', {
    summary: 'write the secrets of a file into AWS; without --apply only shows what would be written',
    description:
      "Writes secrets of an env file, a JSON or a YAML document into AWS. A key is the name of a secret; a mapping is a tool with its types, or a JSON secret where its name is declared. Without --apply nothing is written. What AWS has with the same value is left alone, so a run that was stopped is continued by the same command; another value in AWS is replaced with --overwrite only. Numbers are taken digit for digit. 'migrate' also judges what is a secret and takes it out of the env file.",
    examples: [
      'import secrets.yaml -e staging',
      'import .env.old --only "*_TOKEN" --apply --yes',
      'import - --format json --apply --yes < secrets.json',
    ],
    exits: {
      0: 'AWS has everything',
      1: 'there is something to write, or something that was left, or the file cannot be used',
      2: 'there is no terminal to ask on, and --yes is missing',
      4: 'the file cannot be read, or AWS failed or refused',
    },
  })
    .argument('<file>', "the file; '-' is standard input")
    .addOption(new Option('--format <name>', "the file's format (default: by its name)").choices(FORMATS))
    .option('--only <name...>', "only these names; '*' stands for any characters")
    .option('--exclude <name...>', 'not these names')
    .option('--apply', 'write')
    .option('--overwrite', 'also replace other values in AWS')
    .option('-y, --yes', 'do not ask; needed if standard input is not a terminal')
    .action(
      handle(async (context, file, options) => {
        const { terminal } = context
        if (options.apply) assertAsked(options, `import ${file}`)
        if (file === '-' && options.apply && !options.yes) {
          throw new CliError('USAGE', EXIT.usage, 'standard input is the file, so nobody can be asked there; add --yes')
        }
        const text = file === '-' ? await standardInput() : readText(file)
        return context.withDelivery(async (delivery, config) => {
          const { values, left } = chosen(read(text, options.format ?? formatOf(file), file, config), options)
          const plan = await planned(delivery, values, options)
          const { environment } = delivery
          if (!options.apply) {
            const secrets = plan.found
            terminal.result(
              { environment, applied: false, secrets, left },
              ({ left }) => planShown(plan, terminal) + leftShown(left, terminal) + DRY,
            )
            return plan.writes.length + plan.left.length + left.length === 0 ? EXIT.ok : EXIT.no
          }
          if (!options.yes) terminal.note(planShown(plan, terminal).trimEnd())
          const report = await write(delivery, values, plan, terminal, { what: `import ${file}`, yes: options.yes })
          terminal.result(
            { environment, applied: true, ...report, left },
            ({ left, ...report }) => written(report, terminal) + leftShown(left, terminal),
          )
          return exitOf(report.secrets) || (left.length === 0 ? EXIT.ok : EXIT.no)
        })
      }),
    )
}

const DRY = 'Nothing was written; --apply writes.\n'
/** The largest document from standard input, in bytes. */
const MOST_BYTES = 16 * 1024 * 1024

async function standardInput() {
  /** @type {Buffer[]} */
  const chunks = []
  let size = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk)
    size += chunk.length
    if (size > MOST_BYTES) {
      throw new CliError('FILE_NOT_READ', EXIT.source, `standard input has more than ${MOST_BYTES} bytes`)
    }
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * @param {import('../import-file').Read} read
 * @param {{ only?: string[], exclude?: string[] }} options
 * @returns {import('../import-file').Read}
 */
function chosen({ values, left }, { only, exclude = [] }) {
  const wanted = only?.map(matcher)
  const unwanted = exclude.map(matcher)
  const isChosen = (/** @type {string} */ name) =>
    (wanted?.some((pattern) => pattern.test(name)) ?? true) && !unwanted.some((pattern) => pattern.test(name))
  return {
    values: new Map([...values].filter(([name]) => isChosen(name))),
    left: left.filter(({ name }) => isChosen(name)),
  }
}

/** @param {Left[]} left @param {import('../terminal').Terminal} terminal */
function leftShown(left, terminal) {
  if (left.length === 0) return ''
  const rows = left.map(({ name, line, why }) => [name, String(line), why])
  return `\n${terminal.table(['NOT IMPORTED', 'LINE', 'WHY'], rows)}`
}
