'use strict'

const { Argument } = require('commander')
const { FILES, SCRIPTS, candidates } = require('../completions')
const { define } = require('../define')
const { EXIT } = require('../exit')

/** @type {import('../program').AddCommand} */
module.exports = (program, handle) => {
  define(program, 'completion', {
    summary: 'print the script that completes words in a shell',
    description:
      'Prints a script for a shell. With it, the Tab key completes commands, options, and the tools and secrets that a JSON configuration declares. It reads no secret and runs no configuration that is code.',
    examples: ['completion bash >> ~/.bashrc', 'completion zsh >> ~/.zshrc', 'completion fish | source'],
    exits: { 0: 'the script was printed' },
  })
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS)))
    .action(
      handle(async ({ terminal }, shell) => {
        const script = SCRIPTS[shell] ?? ''
        terminal.result({ shell, script }, () => script)
        return EXIT.ok
      }),
    )

  // The scripts call this.
  program
    .command('complete', { hidden: true })
    .argument('[word...]')
    .allowUnknownOption()
    .action(
      handle(async ({ terminal }, /** @type {string[]} */ words) => {
        // PowerShell cannot pass an empty word.
        const found = await candidates(
          program,
          words.map((word) => (word === '""' ? '' : word)),
        )
        const lines = found === FILES ? [FILES] : found.map(({ value, description }) => `${value}\t${description}`)
        terminal.reveal(lines.map((line) => `${line}\n`).join(''))
        return EXIT.ok
      }),
    )
}
