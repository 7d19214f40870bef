'use strict'

// An async function of the core that the addon awaits is compiled in the addon again, with all that it awaits, unless it is
// `#[boxed]`: that made the addon a quarter larger once (decision 9).

const fs = require('node:fs')
const path = require('node:path')
const { root } = require('../support/files')

/** @param {string} folder @returns {string[]} */
const texts = (folder) =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.rs'))
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), 'utf8'))

/**
 * The async functions of `Delivery` that `addon` calls and that are not boxed.
 *
 * @param {string[]} core
 * @param {string} addon
 */
const unboxed = (core, addon) =>
  core
    .filter((text) => /^impl Delivery \{$/m.test(text))
    .flatMap((text) => [...text.matchAll(/(#\[boxed\]\n *)?pub async fn (\w+)/g)])
    .filter(([, boxed, name]) => boxed === undefined && new RegExp(`\\bdelivery\\s*\\.${name}\\(`).test(addon))
    .map(([, , name]) => name)

test('what the addon awaits of the core is boxed', () => {
  expect(unboxed(texts('crates/core/src'), texts('src').join('\n'))).toEqual([])
})

test('one that is not is found', () => {
  const core = [
    'impl Delivery {\n    #[boxed]\n    pub async fn one() {}\n    pub async fn two() {}\n    pub async fn three() {}\n}',
  ]
  expect(unboxed(core, 'delivery.one().await; delivery.two().await')).toEqual(['two'])
})
