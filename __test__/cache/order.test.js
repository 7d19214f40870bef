'use strict'

// Changes within the same millisecond: the last one holds, in this instance, in the others, and in Redis. On a real Redis, whose clock
// shows equal times for such changes.

const { overRedis } = require('../support/services')
const { until } = require('../support/until')

const NAMES = Array.from({ length: 20 }, (_, index) => `ORDER_N${index}`)

const world = overRedis(Object.fromEntries(NAMES.map((name) => [`${name}_production`, 'from AWS'])))
const { deliver } = world

/** Waits until both instances, and a new one that has Redis's copies only, give `value` for all names. */
async function allGive(value, instances) {
  const expected = NAMES.map(() => value)
  const read = (delivery) => Promise.all(NAMES.map((name) => delivery.getSecret(name)))
  for (const delivery of [...instances, deliver()]) {
    let found
    await until(`all have ${value}`, async () => {
      found = await read(delivery)
      return found.every((one) => one === value)
    }).catch(() => expect(found).toEqual(expected))
  }
}

/** Does `changes` to each name, one directly after the other. */
async function changed(delivery, ...changes) {
  for (const name of NAMES) for (const change of changes) await change(delivery, name)
}

const set = (value) => (delivery, name) => delivery.cache.set(name, value)
const invalidate = (delivery, name) => delivery.cache.invalidate(name)
const refresh = (delivery, name) => delivery.refresh(name)

test.each([
  ['set and set', 'second', [set('first'), set('second')]],
  ['invalidate and set', 'set', [invalidate, set('set')]],
  ['refresh and set', 'set', [refresh, set('set')]],
  ['set and invalidate', 'from AWS', [set('set'), invalidate]],
  ['set and refresh', 'from AWS', [set('set'), refresh]],
])('%s, directly after each other', async (_, value, changes) => {
  const [first, second] = [deliver(), deliver()]
  await Promise.all([first, second].map((delivery) => changed(delivery, (one, name) => one.getSecret(name))))
  await changed(first, ...changes)
  await allGive(value, [first, second])
})

test('two instances that set values by hand at once agree in the end', async () => {
  const [first, second] = [deliver(), deliver()]
  await Promise.all([changed(first, set('of the first')), changed(second, set('of the second'))])
  const read = (delivery) => Promise.all(NAMES.map((name) => delivery.getSecret(name)))
  await until('they agree', async () => {
    const [one, other, fresh] = [await read(first), await read(second), await read(deliver())]
    return JSON.stringify(one) === JSON.stringify(other) && JSON.stringify(one) === JSON.stringify(fresh)
  })
})

test('two versions learnt of directly after each other: all have the later one', async () => {
  const [first, second] = [deliver(), deliver()]
  await Promise.all([first, second].map((delivery) => changed(delivery, (one, name) => one.getSecret(name))))
  const put = (value) => world.aws.put(Object.fromEntries(NAMES.map((name) => [`${name}_production`, value])))
  await put('second')
  const learnt = changed(first, refresh)
  await put('third')
  await Promise.all([learnt, changed(first, refresh)])
  await allGive('third', [first, second])
})
