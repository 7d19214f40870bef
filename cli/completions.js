'use strict'

// What may stand next on a command line. The scripts of the shells ask with `tcs-secrets complete -- <words>`.

const { loadConfig } = require('../lib/config-file')
const { environmentsOf } = require('./environments')

/** @typedef {{ value: string, description: string }} Candidate */

/** The answer where a path may stand: the shell knows them. */
const FILES = /** @type {const} */ (':files')
/** Of tools and types in the configuration file. What has other characters is not suggested: a shell would have to quote it. */
const PLAIN = /^[\w-]+$/

/**
 * @param {import('commander').Command} program
 * @param {string[]} words After the name of the program; the last one is what is being typed.
 * @returns {Promise<Candidate[] | typeof FILES>}
 */
async function candidates(program, words) {
  const typed = words.at(-1) ?? ''
  let command = program
  /** @type {string[]} */
  const given = []
  /** @type {import('commander').Option | undefined} */
  let open
  for (const word of words.slice(0, -1)) {
    if (word === '--') return FILES
    const options = optionsOf(program, command)
    if (word.startsWith('-')) {
      open = options.find(
        ({ short, long, required, optional }) => (short === word || long === word) && (required || optional),
      )
    } else if (open !== undefined) {
      if (!open.variadic) open = undefined
    } else {
      const child = command.commands.find((known) => known.name() === word)
      if (child === undefined) given.push(word)
      else command = child
    }
  }
  const found = await possible(program, command, given, open, typed)
  if (found === FILES) return FILES
  const exact = found.filter(({ value }) => value.startsWith(typed))
  return exact.length > 0 ? exact : found.filter(({ value }) => value.toUpperCase().startsWith(typed.toUpperCase()))
}

/**
 * @param {import('commander').Command} program
 * @param {import('commander').Command} command
 * @param {string[]} given
 * @param {import('commander').Option | undefined} open
 * @param {string} typed
 * @returns {Promise<Candidate[] | typeof FILES>}
 */
async function possible(program, command, given, open, typed) {
  if (typed.startsWith('-')) {
    return optionsOf(program, command).map(({ long, description }) => ({ value: long ?? '', description }))
  }
  if (open !== undefined) return valuesOf(open.argChoices, open.flags, given)
  if (command.commands.length > 0) {
    const shown = command.createHelp().visibleCommands(command)
    return shown.map((child) => ({ value: child.name(), description: child.summary() }))
  }
  const args = command.registeredArguments
  const next = args[given.length] ?? args.filter(({ variadic }) => variadic)[0]
  return next === undefined ? [] : valuesOf(next.argChoices, next.name(), given)
}

/**
 * @param {string[] | undefined} choices
 * @param {string} what The name of an argument, or the flags of an option.
 * @param {string[]} given
 * @returns {Promise<Candidate[] | typeof FILES>}
 */
async function valuesOf(choices, what, given) {
  if (choices !== undefined) return choices.map((value) => ({ value, description: '' }))
  if (/environment|^(first|second)$/.test(what)) {
    return environmentsOf(await jsonOptions()).map((value) => ({ value, description: '' }))
  }
  if (/file|module|command/.test(what)) return FILES
  const declared = (await declaredInJson()).filter(
    ({ tool, secretType }) => PLAIN.test(tool ?? 'x') && PLAIN.test(secretType),
  )
  const tools = [...new Set(declared.flatMap(({ tool }) => tool ?? []))].map((value) => ({
    value,
    description: 'tool',
  }))
  if (/^type$/.test(what)) {
    const own = declared.filter(({ tool }) => tool !== null && tool.toUpperCase() === given[0]?.toUpperCase())
    return own.map(({ secretType, name }) => ({ value: secretType, description: name }))
  }
  if (/tool/.test(what)) return tools
  const names = declared.map(({ name }) => ({ value: name, description: 'secret' }))
  if (what === 'name') return [...tools, ...names]
  return /--(name|only|secret)\b/.test(what) ? names : []
}

/** The declarations, unless the configuration is code: a key press runs none. */
async function declaredInJson() {
  return (await loadConfig({ runsCode: false }).catch(() => undefined))?.declared ?? []
}

/** The options, in the same way. */
async function jsonOptions() {
  return (await loadConfig({ runsCode: false }).catch(() => undefined))?.options ?? {}
}

/** @param {import('commander').Command} program @param {import('commander').Command} command */
function optionsOf(program, command) {
  const own = command.createHelp().visibleOptions(command)
  return [...new Map([...own, ...(command === program ? [] : program.options)].map((one) => [one.long, one])).values()]
}

/** The scripts, by shell. @type {Record<string, string>} */
const SCRIPTS = {
  bash: `# Put this into ~/.bashrc: source <(tcs-secrets completion bash)
_tcs_secrets() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ${FILES} ]]; then
      compopt -o default
      return
    fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
}
complete -F _tcs_secrets tcs-secrets tcs-secret-delivery
`,
  zsh: `# Put this into ~/.zshrc, after compinit: source <(tcs-secrets completion zsh)
_tcs_secrets() {
  local line
  local -a found
  for line in "\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2> /dev/null)}"; do
    if [[ $line == ${FILES} ]]; then
      _files
      return
    fi
    [[ -n $line ]] && found+=("\${line%%$'\\t'*}:\${line#*$'\\t'}")
  done
  _describe 'tcs-secrets' found
}
compdef _tcs_secrets tcs-secrets tcs-secret-delivery
`,
  fish: `# Put this into ~/.config/fish/config.fish: tcs-secrets completion fish | source
function __tcs_secrets
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] 2> /dev/null)
    if test "$found[1]" = ${FILES}
        __fish_complete_path (commandline -ct)
    else
        printf '%s\\n' $found
    end
end
complete -c tcs-secrets -f -a '(__tcs_secrets)'
complete -c tcs-secret-delivery -f -a '(__tcs_secrets)'
`,
  powershell: `# Put this into $PROFILE: tcs-secrets completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName tcs-secrets, tcs-secret-delivery -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if ($wordToComplete -eq '') { $words += '""' }
  & $commandAst.CommandElements[0].Value complete '--' @words 2> $null | Where-Object { $_ -ne '${FILES}' } | ForEach-Object {
    $value, $description = $_ -split "\`t", 2
    if (-not $description) { $description = $value }
    [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
  }
}
`,
}

module.exports = { FILES, SCRIPTS, candidates }
