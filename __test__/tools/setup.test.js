'use strict'

// How the tools start programs on Windows, where npm is a `.cmd` file, and Node.js lies in a folder with a blank.

const { line } = require('../../tools/setup')

test('a program with a path is started without a shell, another one by one line with quotes', () => {
  const node = 'C:\\Program Files\\nodejs\\node.exe'
  expect(line(node, ['C:\\a b\\jest.js', '--ci'], true)).toEqual([node, ['C:\\a b\\jest.js', '--ci']])
  expect(line('npm', ['ci', '--prefix', 'C:\\a b', 'x&y'], true)).toEqual(['npm ci --prefix "C:\\a b" "x&y"', []])
  expect(line('npm', ['ci', 'a b'], false)).toEqual(['npm', ['ci', 'a b']])
})
