'use strict'

const { Command, Help } = require('commander')
const { version } = require('../package.json')
const { Context, nameCommand } = require('./context')
const { ENVIRONMENTS } = require('./environments')

const NAMES = ENVIRONMENTS.slice(0, 4).join(', ')

/** The commands, in the order of the help. */
const COMMANDS = [
  require('./commands/init'),
  require('./commands/doctor'),
  require('./commands/get'),
  require('./commands/list'),
  require('./commands/explain'),
  require('./commands/history'),
  require('./commands/diff'),
  require('./commands/put'),
  require('./commands/generate'),
  require('./commands/edit'),
  require('./commands/import'),
  require('./commands/copy'),
  require('./commands/restore'),
  require('./commands/delete'),
  require('./commands/undelete'),
  require('./commands/validate'),
  require('./commands/run'),
  require('./commands/scan'),
  require('./commands/export'),
  require('./commands/rotate'),
  require('./commands/due'),
  require('./commands/refresh'),
  require('./commands/cache'),
  require('./commands/migrate'),
  require('./commands/audit'),
  require('./commands/report'),
  require('./commands/policy'),
  require('./commands/infra'),
  require('./commands/completion'),
]

const EXITS = `
Exit codes:
  0   done
  1   a check found errors, a secret is missing, or a rotation did not succeed
  2   wrong usage
  3   the configuration or the installation is wrong
  4   a source or a cache failed
  5   refused, because a secret would be exposed or a file overwritten
  70  a bug in this program

Only 'get' and 'export' print secrets, and only with --reveal.`

/**
 * @typedef {(context: Context, ...args: any[]) => Promise<number>} Handler Returns the exit code. The arguments are the
 *   command's, then its options, then the command itself.
 */
/** @typedef {(handler: Handler) => (...args: any[]) => Promise<void>} Handle Makes an action of a handler. */
/**
 * @typedef {{ terminal: import('./terminal').Terminal, delivery: import('./context').SecretDelivery, config: import('./context').Config }} Open
 *   What a command that needs a delivery works with.
 */
/** @typedef {(handler: (open: Open, ...args: any[]) => Promise<number>) => (...args: any[]) => Promise<void>} HandleOpen */
/** @typedef {(program: Command, handle: Handle, handleOpen: HandleOpen) => void} AddCommand What each file of `commands/` exports. */

/**
 * @param {import('./terminal').Terminal} terminal
 * @param {(code: number) => void} setExit
 * @returns {Command}
 */
function createProgram(terminal, setExit) {
  const help = Object.assign(new Help(), { showGlobalOptions: true })
  const program = new Command('tcs-secrets')
    .description('Secrets from AWS Secrets Manager, the env file and the runtime environment, for people and scripts.')
    .version(version, '-V, --version', 'print the version')
    .option('-c, --config <file>', 'configuration file (default: searched upward from the working directory)')
    .option(
      '-e, --environment <name>',
      `environment whose secrets are used (${NAMES}, or one that the configuration declares)`,
    )
    .option('--json', 'print one JSON document, also for errors')
    .option('-v, --verbose', 'show what happens inside, such as attempts that failed, on standard error')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    // main() prints errors, as JSON with --json.
    .configureOutput({ writeErr: () => {} })
    .configureHelp({
      showGlobalOptions: true,
      visibleGlobalOptions: (command) =>
        Help.prototype.visibleGlobalOptions.call(help, command).filter(({ long }) => long !== '--version'),
      subcommandTerm: (command) => command.name(),
      styleTitle: (title) => terminal.style('bold', title),
    })
    .addHelpText('after', EXITS)
  /** @type {Handle} */
  const handle =
    (handler) =>
    async (...args) => {
      nameCommand(namesOf(args.at(-1)))
      setExit(await handler(new Context(terminal, program.opts()), ...args))
    }
  /** The delivery is closed when the handler ends. @type {HandleOpen} */
  const handleOpen = (handler) =>
    handle((context, ...args) =>
      context.withDelivery((delivery, config) => handler({ terminal: context.terminal, delivery, config }, ...args)),
    )
  for (const add of COMMANDS) add(program, handle, handleOpen)
  return program
}

/** The names of a command and of those that it belongs to, without the program's. @param {Command} command */
function namesOf(command) {
  const names = []
  for (let at = command; at?.parent; at = at.parent) names.unshift(at.name())
  return names
}

module.exports = { createProgram }
