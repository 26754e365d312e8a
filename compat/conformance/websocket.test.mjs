// The same checks on Parley and on the protocol's reference server, which proves
// that the checks ask for what the protocol says and not for what we do. Both must
// pass all of them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { after, before, describe, test } from 'node:test'
import { buildSchema } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { send, serverURL, signUp } from '../lib/parley.mjs'
import { Socket } from './socket.mjs'

// A target says where to connect, and which documents give one result, several,
// an endless stream, and a failure of a resolver.
const targets = [reference(), parley()]

for (const target of targets) {
  describe(`graphql-transport-ws: ${target.name}`, () => {
    let t
    before(async () => {
      t = await target.start()
    })
    after(() => t.stop())

    const ready = () => Socket.ready(t.url, t.init)
    // check is a test whose socket is ended, whatever happens.
    const check = (name, body) =>
      test(name, async () => {
        const sockets = []
        const keep = async (socket) => {
          sockets.push(await socket)
          return sockets.at(-1)
        }
        try {
          await body({ ready: () => keep(ready()), open: (o) => keep(Socket.open(t.url, o)) })
        } finally {
          sockets.forEach((s) => s.end())
        }
      })

    check('the subprotocol is chosen', async ({ open }) => {
      assert.equal((await open()).ws.protocol, 'graphql-transport-ws')
    })
    check('a socket without a subprotocol is closed with 4406', async ({ open }) => {
      await (await open({ protocol: null })).closesWith(4406)
    })
    check('connection_init is acknowledged', async ({ ready }) => {
      await (await ready()).quiet()
    })
    check('a ping before connection_init is answered', async ({ open }) => {
      await (await open()).quiet()
    })
    check('a pong carries the payload of the ping', async ({ ready }) => {
      const s = await ready()
      s.send({ type: 'ping', payload: { a: [1, 'ü', null] } })
      assert.deepEqual(await s.next(), { type: 'pong', payload: { a: [1, 'ü', null] } })
    })
    check('a pong without a ping is fine', async ({ ready }) => {
      const s = await ready()
      s.send({ type: 'pong', payload: {} })
      await s.quiet()
    })
    check('subscribe before connection_init closes with 4401', async ({ open }) => {
      const s = await open()
      s.subscribe('1', t.single)
      await s.closesWith(4401)
    })
    check('a second connection_init closes with 4429', async ({ ready }) => {
      const s = await ready()
      s.send({ type: 'connection_init', payload: t.init })
      await s.closesWith(4429)
    })
    check('no connection_init closes with 4408', async ({ open }) => {
      await (await open()).closesWith(4408)
    })
    for (const [name, frame] of Object.entries({
      'what is no JSON': '{',
      'an array': '[]',
      'a number': '1',
      'no type': '{"id":"1"}',
      'an unknown type': '{"type":"nonsense"}',
      'a type of the older protocol': '{"type":"start","id":"1","payload":{"query":"{ a }"}}',
      'subscribe without id': '{"type":"subscribe","payload":{"query":"{ a }"}}',
      'subscribe with an empty id': '{"type":"subscribe","id":"","payload":{"query":"{ a }"}}',
      'subscribe without payload': '{"type":"subscribe","id":"1"}',
      'subscribe without query': '{"type":"subscribe","id":"1","payload":{}}',
      'a query that is no text': '{"type":"subscribe","id":"1","payload":{"query":1}}',
      'variables that are no object': '{"type":"subscribe","id":"1","payload":{"query":"{ a }","variables":"x"}}',
      'a ping whose payload is no object': '{"type":"ping","payload":1}',
    })) {
      check(`${name} closes with 4400`, async ({ ready }) => {
        const s = await ready()
        s.send(frame)
        await s.closesWith(4400)
      })
    }
    check('connection_init with a payload that is no object closes with 4400', async ({ open }) => {
      const s = await open()
      s.send({ type: 'connection_init', payload: 'x' })
      await s.closesWith(4400)
    })
    check('a query gives next and complete', async ({ ready }) => {
      const s = await ready()
      s.subscribe('q', t.single)
      const next = await s.next()
      assert.equal(next.type, 'next')
      assert.equal(next.id, 'q')
      assert.ok(next.payload.data)
      assert.deepEqual(await s.next(), { id: 'q', type: 'complete' })
      await s.quiet()
    })
    check('a subscription gives its results and complete', async ({ ready }) => {
      const s = await ready()
      const { query, variables } = await t.several()
      s.subscribe('s', query, variables)
      let results = 0
      for (;;) {
        const frame = await s.next()
        assert.equal(frame.id, 's')
        if (frame.type === 'complete') break
        assert.equal(frame.type, 'next')
        results++
      }
      assert.ok(results > 1, `${results} results, want several`)
      await s.quiet()
    })
    check('a document that does not fit gives error, and nothing after it', async ({ ready }) => {
      const s = await ready()
      s.subscribe('e', '{ thereIsNoSuchField }')
      const frame = await s.next()
      assert.equal(frame.type, 'error')
      assert.equal(frame.id, 'e')
      assert.ok(Array.isArray(frame.payload) && frame.payload[0].message)
      await s.quiet()
    })
    // The reference server closes the socket over a document it cannot parse; the
    // protocol has the message error for that.
    if (target.name === 'Parley') {
      check('a syntax error gives error', async ({ ready }) => {
        const s = await ready()
        s.subscribe('e', '{ a')
        assert.equal((await s.next()).type, 'error')
        await s.quiet()
      })
    }
    check('a failed subscription is a result with errors, then complete', async ({ ready }) => {
      const s = await ready()
      s.subscribe('f', t.failing)
      const frame = await s.next()
      assert.equal(frame.type, 'next')
      assert.ok(frame.payload.errors.length > 0)
      assert.deepEqual(await s.next(), { id: 'f', type: 'complete' })
    })
    check('an id that is in use closes with 4409', async ({ ready }) => {
      const s = await ready()
      s.subscribe('d', t.endless)
      s.subscribe('d', t.endless)
      assert.match((await s.closesWith(4409)).reason, /d already exists/)
    })
    check('complete of the client ends an operation without an answer, and frees its id', async ({ ready }) => {
      const s = await ready()
      for (let i = 0; i < 3; i++) {
        s.subscribe('c', t.endless)
        if (t.endlessBegins) assert.equal((await s.next()).type, 'next')
        s.send({ id: 'c', type: 'complete' })
        await s.quiet()
      }
    })
    check('complete of an id that is not in use is fine', async ({ ready }) => {
      const s = await ready()
      s.send({ id: 'nobody', type: 'complete' })
      await s.quiet()
    })
    check('an id is free again after the end', async ({ ready }) => {
      const s = await ready()
      for (let i = 0; i < 3; i++) {
        s.subscribe('again', t.single)
        assert.equal((await s.next()).type, 'next')
        assert.equal((await s.next()).type, 'complete')
      }
    })
    check('operations run side by side', async ({ ready }) => {
      const s = await ready()
      s.subscribe('long', t.endless)
      if (t.endlessBegins) assert.equal((await s.next()).id, 'long')
      s.subscribe('short', t.single)
      assert.equal((await s.next()).id, 'short')
      assert.deepEqual(await s.next(), { id: 'short', type: 'complete' })
    })
    check('an id may hold any text', async ({ ready }) => {
      const s = await ready()
      const id = '"\\ü😀\n'
      s.subscribe(id, t.single)
      assert.equal((await s.next()).id, id)
    })
    check('null for what is optional is fine', async ({ open }) => {
      const s = await open()
      s.send({ type: 'connection_init', payload: t.init ?? null })
      assert.equal((await s.next()).type, 'connection_ack')
      s.send({
        id: '1',
        type: 'subscribe',
        payload: { query: t.single, variables: null, operationName: null, extensions: null },
      })
      assert.equal((await s.next()).type, 'next')
    })
  })
}

function reference() {
  return {
    name: 'the reference server',
    async start() {
      const schema = buildSchema('type Query { a: Int } type Subscription { count: Int never: Int fail: Int }')
      const roots = {
        query: { a: 1 },
        subscription: {
          count: async function* () {
            for (let count = 1; count <= 3; count++) yield { count }
          },
          never: () => ({
            [Symbol.asyncIterator]() {
              return this
            },
            next: () => new Promise(() => {}),
            return: async () => ({ done: true }),
          }),
          fail: () => {
            throw new Error('no')
          },
        },
      }
      const web = http.createServer()
      const sockets = new WebSocketServer({ server: web })
      useServer({ schema, roots, connectionInitWaitTimeout: 500 }, sockets)
      web.listen(0, '127.0.0.1')
      await once(web, 'listening')
      return {
        url: `ws://127.0.0.1:${web.address().port}`,
        init: undefined,
        single: '{ a }',
        several: async () => ({ query: 'subscription { count }' }),
        endless: 'subscription { never }',
        endlessBegins: false,
        failing: 'subscription { fail }',
        stop() {
          sockets.clients.forEach((c) => c.terminate())
          web.close()
        },
      }
    },
  }
}

function parley() {
  return {
    name: 'Parley',
    async start() {
      const url = serverURL()
      const user = await signUp(url)
      return {
        url: `${url.replace('http', 'ws')}/graphql`,
        init: { Authorization: `Bearer ${user.token}` },
        single: '{ viewer { id } }',
        async several() {
          const { reply } = await send(url, user.token, { content: 'I feel fine' })
          return {
            query: 'subscription ($id: ID!) { messageEvents(messageId: $id) { __typename message { id content } } }',
            variables: { id: reply.id },
          }
        },
        endless: 'subscription { viewerEvents { __typename } }',
        endlessBegins: true,
        failing: 'subscription { messageEvents(messageId: "msg_nobody") { __typename } }',
        stop() {},
      }
    },
  }
}
