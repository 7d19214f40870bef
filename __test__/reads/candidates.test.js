'use strict'

// Which value `withSecret` tries next, as AWS's labels change between the log-ins.

const { Candidates } = require('../../lib/candidates')
const { now } = require('../../lib/real-time')

const live = (/** @type {string} */ value) => ({
  label: /** @type {const} */ ('live'),
  value,
  versionId: `id of ${value}`,
})
const pending = (/** @type {string} */ value) => ({ ...live(value), label: /** @type {const} */ ('pending') })
const previous = (/** @type {string} */ value) => ({ ...live(value), label: /** @type {const} */ ('previous') })

/** @typedef {import('../../lib/candidates').Candidate[]} Labels */

/**
 * What is tried, one after the other, by a caller that is refused until `right`. AWS shows one state of `states` for each
 * look, the last one again and again.
 *
 * @param {Labels[]} states
 * @param {(tries: string[]) => boolean} [right] Whether the last of `tries` is accepted.
 * @param {number} [timeoutMs]
 */
async function tried(states, right = () => false, timeoutMs = 2500) {
  const left = [...states]
  const look = async () => /** @type {Labels} */ (left.length > 1 ? left.shift() : left[0])
  const candidates = new Candidates({ look, known: async () => [], handOut: async () => {} })
  const end = now() + timeoutMs
  /** @type {string[]} */
  const tries = []
  let candidate = await candidates.first('NAME', 'old')
  let release = () => {}
  while (candidate !== undefined) {
    tries.push(candidate.value)
    if (right(tries)) {
      candidates.accepted('NAME', candidate)
      break
    }
    candidates.refused('NAME', candidate, new Error('refused'))
    release()
    const turn = await candidates.next('NAME', end).catch(() => undefined)
    candidate = turn?.candidate
    release = turn?.release ?? release
  }
  release()
  candidates.close()
  return tries
}

test('after undo put the target back the live value is tried once more, however AWS showed the rotation', async () => {
  const shown = {
    'in order': [[live('old'), pending('new')], [live('old')]],
    'late, so that its labels end as they began': [[live('old')], [live('old'), pending('new')], [live('old')]],
    'beside the version before': [
      [live('old'), pending('new'), previous('older')],
      [live('old'), previous('older')],
    ],
    'twice, with another value each time': [
      [live('old'), pending('new')],
      [live('old'), pending('newer')],
      [live('old')],
    ],
  }
  for (const [how, states] of Object.entries(shown)) {
    // The target has another value until it was asked for the last time that differs from the live one.
    const others = new Set(states.flat().map(({ value }) => value)).size
    const isPutBack = (/** @type {string[]} */ tries) => tries.at(-1) === 'old' && tries.length > others
    const tries = await tried(states, isPutBack, 8000)
    expect([how, tries.at(-1), tries.length > 1, tries.length <= 5]).toEqual([how, 'old', true, true])
  }
})

test('labels that AWS does not show, or that only come, give no value another chance', async () => {
  const count = (/** @type {string[]} */ tries) => tries.filter((one) => one === 'old').length
  const notShown = { ...live('old'), versionId: null }
  const rotating = [live('old'), pending('new')]
  expect(count(await tried([rotating, [notShown], rotating]))).toBe(1)
  expect(count(await tried([[notShown]], undefined, 500))).toBe(1)
  // A password that is wrong everywhere is tried once, and a pending one that comes is no reason to try it again.
  const settled = [live('old'), previous('older')]
  expect(count(await tried([settled]))).toBe(1)
  expect(count(await tried([settled, settled, [...settled, pending('new')]]))).toBe(1)
})

test('a log-in that is refused late counts for the time at which it began', async () => {
  const states = [
    [live('old'), pending('new')],
    [live('old'), previous('older')],
  ]
  const look = async () => /** @type {Labels} */ (states.length > 1 ? states.shift() : states[0])
  const candidates = new Candidates({ look, known: async () => [], handOut: async () => {} })
  const end = now() + 5000
  const slow = await candidates.first('NAME', 'old')
  candidates.refused('NAME', /** @type {any} */ (slow), new Error('refused'))
  for (const value of ['new', 'older']) {
    const turn = await candidates.next('NAME', end)
    expect(turn.candidate.value).toBe(value)
    candidates.refused('NAME', turn.candidate, new Error('refused'))
    // Another caller, who began together with the first one.
    candidates.refused('NAME', /** @type {any} */ (slow), new Error('refused'))
    turn.release()
  }
  const turn = await candidates.next('NAME', end)
  expect(turn.candidate.value).toBe('old')
  turn.release()
  candidates.close()
})

test('five log-ins are made at most, whatever AWS shows', async () => {
  const states = Array.from({ length: 12 }, (_, i) => [live('old'), pending(`new ${i}`), previous(`older ${i % 3}`)])
  expect(await tried(states, undefined, 6000)).toHaveLength(5)
}, 20_000)

test('after all callers have given up only a new live version is tried', async () => {
  let states = [live('old'), previous('older')]
  const candidates = new Candidates({ look: async () => states, known: async () => [], handOut: async () => {} })
  const isOver = async (/** @type {number} */ ms) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    const turn = await candidates.next('NAME', now() + ms).catch(() => undefined)
    if (turn === undefined) return true
    candidates.refused('NAME', turn.candidate, new Error('refused'))
    turn.release()
    return false
  }
  candidates.refused('NAME', /** @type {any} */ (await candidates.first('NAME', 'old')), new Error('refused'))
  while (!(await isOver(300)));
  states = [live('old'), pending('coming'), previous('older')]
  // AWS is not looked at again before two seconds, and nothing that is not live is tried.
  for (const end = now() + 3500; now() < end;) expect(await isOver(0)).toBe(true)
  states = [live('new'), previous('old')]
  /** @type {Awaited<ReturnType<typeof candidates.next>> | undefined} */
  let turn
  for (const end = now() + 5000; turn === undefined && now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    turn = await candidates.next('NAME', now()).catch(() => undefined)
  }
  expect(turn?.candidate.value).toBe('new')
  turn?.release()
  candidates.close()
}, 20_000)
