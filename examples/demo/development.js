'use strict'

// The main job on the defaults of development: a sample .env.dev, process variables and mounted files. No AWS, no Redis.

const path = require('node:path')
const { SecretDelivery } = require('../..')
const { masked, table } = require('./print')

// What an operator or an orchestrator would have set.
process.env.REDIS_PASSWORD = 'sample-redis-password'

const delivery = new SecretDelivery({
  environment: 'development',
  aws: { enabled: false },
  envFile: { directory: __dirname },
  runtime: { secretDirectories: [path.join(__dirname, 'mounted-secrets')] },
})

async function main() {
  console.log(`\n${delivery.environment}, without AWS and Redis: which secret comes from which layer\n`)
  const rows = [['read', 'value', 'answered by', 'place']]
  for (const [tool, type] of [
    ['github', 'api_token'],
    ['github', 'webhook_secret'],
    ['jira', 'api_token'],
    ['gitlab', 'deploy_key'],
    ['redis', 'password'],
    ['database', 'url'],
    ['slack', 'bot_token'],
  ]) {
    const value = await delivery.getToolSecret(tool, type)
    const { answeredBy, layers } = await delivery.explain(`${tool}_${type}`.toUpperCase())
    const place = layers.find(({ layer }) => layer === answeredBy)?.place ?? ''
    const shown = path.isAbsolute(place) ? path.relative(process.cwd(), place) : place
    rows.push([`getToolSecret('${tool}', '${type}')`, masked(value), answeredBy ?? 'no source: null', shown])
  }
  table(rows)

  const github = await delivery.getToolSecrets('github')
  console.log(`\ngetToolSecrets('github') has the keys ${Object.keys(github).join(', ')}`)
  const { status, checks } = await delivery.health()
  const parts = Object.entries(checks).map(([part, check]) => `${part} ${check.status}`)
  console.log(`health is ${status}: ${parts.join(', ')}`)
  try {
    await delivery.getToolSecret('../github', 'api_token')
  } catch (error) {
    const { code, message } = /** @type {import('../..').SecretError} */ (error)
    console.log(`a name that no source accepts is refused: ${code}: ${message}`)
  }
  await delivery.close()
  console.log('\nWith an AWS stand-in and Redis: npm run demo -- --aws')
}

main()
