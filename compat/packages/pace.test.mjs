// How often a feed asks a server that ends its subscriptions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client } from './client.mjs'

const delta = (text, offset) => ({
  messageEvents: { __typename: 'MessageDelta', cursor: `c${offset}`, offset, text, message: { id: 'm', attempt: 1 } },
})
const snapshot = {
  messageEvents: {
    __typename: 'MessageSnapshot',
    cursor: 'c',
    message: { id: 'm', status: 'STREAMING', content: '', reasoning: '', attempt: 1, conversation: { id: 'c' } },
  },
}

// A server that ends each subscription after three events, when each was begun, and the waits between them.
async function begun(t, lasts) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  const abort = new AbortController()
  const at = []
  const session = {
    async *subscribe() {
      at.push(Date.now())
      if (at.length === 8) abort.abort()
      yield* [snapshot, delta('a', 0), delta('b', 1)]
      t.mock.timers.setTime(Date.now() + lasts)
    },
  }
  let done = false
  const all = (async () => {
    for await (const state of client.follow(session, 'm', { signal: abort.signal })) assert.ok(state)
    done = true
  })()
  // Each turn of the loop lets everything happen that waits for no time.
  while (!done) {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    if (!done) t.mock.timers.tick(50)
  }
  await all
  return at.slice(1).map((time, i) => time - at[i] - lasts)
}

test('a feed that is ended again and again waits longer each time, also when something came', async (t) => {
  const waits = await begun(t, 0)
  assert.equal(waits.length, 7)
  waits.forEach((wait, i) => assert.ok(wait >= Math.min(10_000, 250 * 2 ** (i + 1)) / 2, `${waits}`))
})

test('a feed that has lasted begins again at once', async (t) => {
  // A tick of the clock, at most.
  for (const wait of await begun(t, 6_000)) assert.ok(wait <= 50)
})
