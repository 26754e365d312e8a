// A connection that dies without a word, by a clock of the test's own. It is apart from what fetches: the timers of
// Node's fetch must not see that clock.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client } from './client.mjs'

const newSession = client.session
const feed = 'subscription { viewerEvents { __typename } }'

test('a socket that is silent is given up, and what it says late is not heard', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
  const sockets = []
  class Silent {
    constructor() {
      sockets.push(this)
    }
    send() {}
    close() {
      this.closed = true
    }
  }
  const session = newSession({ url: 'http://127.0.0.1:1/graphql', webSocket: Silent })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return session.adopt({ accessToken: 'a', refreshToken: 'r' }).then(async () => {
    session.subscribe(feed)
    await turn()
    assert.equal(sockets.length, 1)
    t.mock.timers.tick(10_000)
    assert.ok(sockets[0].closed)
    assert.equal(session.line.state, 'waiting')
    t.mock.timers.tick(1_000)
    await turn()
    assert.equal(sockets.length, 2)
    sockets[1].onopen()
    sockets[1].onmessage({ data: '{"type":"connection_ack"}' })
    assert.equal(session.line.state, 'live')
    t.mock.timers.tick(10_000) // It is asked,
    assert.equal(session.line.state, 'live')
    t.mock.timers.tick(10_000) // and has not answered.
    assert.ok(sockets[1].closed)
    sockets[0].onclose({ code: 1006 })
    assert.equal(session.line.state, 'waiting')
    session.close()
    t.mock.timers.tick(1)
    assert.equal(session.line.state, 'idle')
  })
})
