'use strict'

// A process as in a container, without one: a root of its own that is read-only and has Node.js, the system's libraries and the
// service, and nothing else; another user; process number 1; no variables but those that are given. By unshare, mount and chroot.

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { root, temporaryDirectory } = require('./files')

/** The user of distroless images. */
const NONROOT = 65_532

/** Ends with the process that it replaces itself with. Its arguments: the new root, Node.js, the service, folders to write to, then variables and a command. */
const SCRIPT = `
set -e
root=$1 node=$2 app=$3 writable=$4
shift 4
mount -t tmpfs -o mode=755 none "$root"
mkdir -p "$root/proc" "$root/dev" "$root/nodejs/bin" "$root/app"
for library in /lib /lib64 /usr/lib /usr/lib64; do
  [ -e "$library" ] || continue
  if [ -L "$library" ]; then
    ln -s "$(readlink "$library")" "$root$library"
  else
    mkdir -p "$root$library"
    mount --bind "$library" "$root$library"
  fi
done
touch "$root/nodejs/bin/node" "$root/dev/null" "$root/dev/urandom"
mount --bind "$node" "$root/nodejs/bin/node"
mount --bind /dev/null "$root/dev/null"
mount --bind /dev/urandom "$root/dev/urandom"
mount -t proc none "$root/proc"
mount --bind "$app" "$root/app"
mount -o remount,bind,ro "$root/app"
for folder in $writable; do
  inside=$folder
  case $folder in *=*) inside=\${folder%%=*};; esac
  mkdir -p "$root$inside"
  case $folder in
    *=*) mount --bind "\${folder#*=}" "$root$inside" ;;
    *) mount -t tmpfs -o mode=1777 none "$root$inside" ;;
  esac
done
mount -o remount,ro "$root"
env=$(command -v env)
exec "$env" -i "$@"
`

/** @returns {string[] | undefined} What runs a command with the rights that this needs. */
function privileged() {
  if (process.platform !== 'linux') return undefined
  const ways = process.getuid?.() === 0 ? [[]] : [['sudo', '-n']]
  return ways.find((way) => {
    const [file, ...args] = [
      ...way,
      'unshare',
      '--mount',
      '--pid',
      '--fork',
      'mount',
      '-t',
      'tmpfs',
      'none',
      os.tmpdir(),
    ]
    return spawnSync(/** @type {string} */ (file), args, { stdio: 'ignore' }).status === 0
  })
}

/** `test`, or `test.skip` where the kernel does not let a test have a file system of its own. CI may not skip. */
function inContainer() {
  if (privileged() !== undefined) return test
  if (process.env.CI && process.platform === 'linux')
    throw new Error('this kernel gives a test no file system of its own')
  console.warn('skipped: this kernel gives a test no file system of its own')
  return test.skip
}

/** A folder with the package as npm installs it, and the command line. Deleted by the caller. */
function installed() {
  const app = fs.realpathSync(temporaryDirectory('tcs-app-'))
  const modules = path.join(app, 'node_modules')
  const copy = (/** @type {string} */ from, /** @type {string} */ to) => {
    fs.cpSync(path.join(root, from), path.join(modules, to), { recursive: true })
  }
  for (const name of ['index.js', 'package.json', 'lib', 'cli']) copy(name, path.join('tcs-secret-delivery', name))
  for (const name of ['commander', 'yaml']) copy(path.join('node_modules', name), name)
  const binary = fs.readdirSync(root).find((name) => name.endsWith('.node')) ?? ''
  const platform = binary.split('.')[1] ?? ''
  const folder = `tcs-secret-delivery-${platform}`
  copy(path.join('npm', platform, 'package.json'), path.join(folder, 'package.json'))
  copy(binary, path.join(folder, binary))
  fs.chmodSync(app, 0o755)
  return app
}

/**
 * @param {object} options
 * @param {string} options.app The folder that becomes `/app`.
 * @param {string[]} options.args For Node.js; the script is below `/app`.
 * @param {Record<string, string>} [options.env]
 * @param {string[]} [options.writable] Folders of memory; `/inside=/outside` is a folder of the machine.
 */
function contained({ app, args, env = {}, writable = [] }) {
  const place = temporaryDirectory('tcs-root-')
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const way = privileged() ?? []
  const inside = ['--pid', '--fork', '--kill-child', '--mount', 'sh', '-c', SCRIPT, 'sh']
  const chroot = spawnSync('sh', ['-c', 'command -v chroot'], { encoding: 'utf8' }).stdout.trim()
  const become = [chroot, `--userspec=${NONROOT}:${NONROOT}`, place, '/nodejs/bin/node']
  const [file = '', ...rest] = [...way, 'unshare', ...inside]
  const given = [place, fs.realpathSync(process.execPath), app, writable.join(' ')]
  const child = spawn(file, [...rest, ...given, ...variables, ...become, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const outcome = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (outcome.stdout += chunk))
  child.stderr.on('data', (chunk) => (outcome.stderr += chunk))
  child.stdin.on('error', () => {})
  const ended = new Promise((resolve) =>
    child.once('close', (status, signal) => {
      fs.rmdirSync(place)
      resolve({ ...outcome, status, signal })
    }),
  )
  return {
    child,
    outcome,
    ended: /** @type {Promise<{ stdout: string, stderr: string, status: number | null }>} */ (ended),
  }
}

module.exports = { NONROOT, contained, inContainer, installed }
