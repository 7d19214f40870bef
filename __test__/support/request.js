'use strict'

const http = require('node:http')

/**
 * @param {string} url
 * @param {string} [method]
 * @param {unknown} [body]
 * @returns {Promise<any>} The answer's JSON; an error when its status is not 2xx.
 */
function request(url, method = 'GET', body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const call = http.request(url, { method, headers, agent: false }, (answer) => {
      let received = ''
      answer.on('data', (chunk) => (received += chunk))
      answer.on('end', () => {
        const ok = answer.statusCode !== undefined && answer.statusCode < 300
        if (ok) resolve(received === '' ? undefined : JSON.parse(received))
        else reject(new Error(`${method} ${new URL(url).pathname}: ${answer.statusCode} ${received}`))
      })
    })
    call.once('error', reject)
    call.end(text)
  })
}

module.exports = { request }
