'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { freePort } = require('./server')

/**
 * A certificate for localhost, and the arguments with which a Redis server uses it.
 *
 * @param {string} directory Where its files are written.
 * @param {boolean} clients Whether clients must show a certificate.
 */
async function certificate(directory, clients) {
  const { generate } = require('selfsigned')
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  })
  const [keyFile, certFile] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')]
  fs.writeFileSync(keyFile, key)
  fs.writeFileSync(certFile, cert)
  const port = await freePort()
  const asked = clients ? ['yes', '--tls-ca-cert-file', certFile] : ['no']
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-auth-clients', ...asked]
  return { key, cert, port, args: ['--tls-port', String(port), ...files] }
}

module.exports = { certificate }
