// The reference clients graphql-ws and graphql-sse with their default settings
// follow replies of the built-in model "script", which does what the message says.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createClient as createSSE } from 'graphql-sse'
import { createClient as createWS } from 'graphql-ws'
import WebSocket from 'ws'
import { data, finalMessage, readMessage, send, serverURL, signUp, startProxy, Watch } from '../lib/parley.mjs'

const url = serverURL()
let user

before(async () => {
  user = await signUp(url)
})

// A reply at once, and one of 40 words in 2 seconds.
const short = { content: 'Hello there. /slow 0', model: 'script' }
const long = { content: 'Tell me about tides. /tokens 40 /slow 50', model: 'script' }

const transports = {
  'graphql-ws': (base, token = user.token) => {
    const client = createWS({
      url: `${base.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket, // Node 20 has none of its own.
      connectionParams: { Authorization: `Bearer ${token}` },
      shouldRetry: () => true,
    })
    return { subscribe: client.subscribe, dispose: client.dispose }
  },
  'graphql-sse': (base, token = user.token) =>
    createSSE({ url: `${base}/graphql`, headers: { Authorization: `Bearer ${token}` } }),
}

for (const [name, connect] of Object.entries(transports)) {
  test(`${name}: a whole reply, word by word`, async (t) => {
    const client = connect(url)
    t.after(() => client.dispose())
    const { reply } = await send(url, user.token, long)
    assert.equal(reply.status, 'STREAMING')

    const watch = await new Watch(client, reply.id).done

    assert.equal(watch.types()[0], 'MessageSnapshot')
    assert.equal(watch.types().at(-1), 'MessageFinished')
    assert.equal(watch.count('MessageSnapshot'), 1, 'no second snapshot without a new attempt')
    assert.ok(watch.count('MessageDelta') >= 10, `want many deltas, got ${watch.types()}`)
    const stored = await readMessage(url, user.token, reply.id)
    assert.equal(stored.status, 'COMPLETED')
    assert.equal(stored.finishReason, 'STOP')
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
    assert.deepEqual(watch.events.at(-1).message, {
      id: reply.id, status: 'COMPLETED', content: stored.content, attempt: 1, finishReason: 'STOP', error: null,
    })
  })

  test(`${name}: a reply that is thought about first, and fails`, async (t) => {
    const client = connect(url)
    t.after(() => client.dispose())
    const { reply } = await send(url, user.token, { content: 'Hm. /wait 500 /think 5 /fail-at 3', model: 'script' })

    const watch = await new Watch(client, reply.id).done

    const kinds = watch.types().filter((type, i, all) => type !== all[i - 1])
    assert.deepEqual(kinds, ['MessageSnapshot', 'MessageReasoningDelta', 'MessageDelta', 'MessageFinished'])
    const thoughts = watch.events.filter((e) => e.__typename === 'MessageReasoningDelta').map((e) => e.text)
    assert.equal(thoughts.join(''), 'First I look at what ')
    assert.equal(watch.partial, 'Hm. The harbour')
    assert.deepEqual(watch.events.at(-1).message, {
      id: reply.id, status: 'FAILED', content: 'Hm. The harbour', attempt: 1, finishReason: null,
      error: { code: 'UPSTREAM_ERROR' },
    })
  })

  test(`${name}: a reply that is final already`, async (t) => {
    const client = connect(url)
    t.after(() => client.dispose())
    const { reply } = await send(url, user.token, { ...short, wait: true })

    const watch = await new Watch(client, reply.id).done

    assert.deepEqual(watch.types(), ['MessageSnapshot', 'MessageFinished'])
    assert.equal(watch.partial, reply.content)
    assert.equal(watch.content, reply.content)
  })

  test(`${name}: a connection cut in the middle goes on behind its cursor`, async (t) => {
    const proxy = await startProxy(url)
    const client = connect(proxy.url)
    t.after(() => {
      client.dispose()
      proxy.close()
    })
    const { reply } = await send(url, user.token, long)
    const watch = new Watch(client, reply.id, { resume: true })
    await watch.when((w) => w.count('MessageDelta') === 5)

    proxy.cut()
    const held = watch.content
    await watch.done

    assert.notEqual(held, watch.content, 'the connection was cut in the middle')
    assert.equal(watch.count('MessageSnapshot'), 1, 'the cursor makes a second snapshot needless')
    assert.equal(watch.count('MessageFinished'), 1)
    const stored = await readMessage(url, user.token, reply.id)
    assert.equal(watch.partial, stored.content)
    // Without hole and without repeat, which the rule would have hidden.
    let length = watch.events[0].message.content.length
    for (const { offset, text } of watch.events.filter((e) => e.__typename === 'MessageDelta')) {
      assert.equal(offset, length)
      length += text.length
    }
  })

  test(`${name}: a connection cut in the middle begins again without a cursor`, async (t) => {
    const proxy = await startProxy(url)
    const client = connect(proxy.url)
    t.after(() => {
      client.dispose()
      proxy.close()
    })
    const { reply } = await send(url, user.token, long)
    const watch = new Watch(client, reply.id)
    await watch.when((w) => w.count('MessageDelta') === 5)

    proxy.cut()
    await watch.done

    assert.equal(watch.count('MessageSnapshot'), 2)
    assert.equal(watch.count('MessageFinished'), 1)
    assert.equal(watch.partial, (await readMessage(url, user.token, reply.id)).content)
  })

  test(`${name}: leaving is not stopping, and a cursor has no time limit`, async (t) => {
    const client = connect(url)
    t.after(() => client.dispose())
    const { reply } = await send(url, user.token, long)
    const first = new Watch(client, reply.id)
    await first.when((w) => w.count('MessageDelta') === 2)
    first.stop()
    const left = first.content.length
    const stored = await finalMessage(url, user.token, reply.id)
    assert.equal(stored.status, 'COMPLETED')

    const second = await new Watch(client, reply.id, { from: first }).done

    assert.equal(second.count('MessageSnapshot'), 0)
    assert.equal(second.events[0].offset, left, 'goes on where the first one left')
    assert.equal(second.partial, stored.content)
  })

  test(`${name}: a cursor of another message is BAD_USER_INPUT`, async (t) => {
    const client = connect(url)
    t.after(() => client.dispose())
    const one = await send(url, user.token, { ...short, wait: true })
    const other = await send(url, user.token, { ...short, wait: true })
    const watch = new Watch(client, one.reply.id)
    await watch.done

    await assert.rejects(new Watch(client, other.reply.id, { from: watch }).done, /BAD_USER_INPUT/)
  })

  test(`${name}: another user's reply is NOT_FOUND`, async (t) => {
    const stranger = await signUp(url)
    const client = connect(url, stranger.token)
    t.after(() => client.dispose())
    const { reply } = await send(url, user.token, { ...short, wait: true })

    await assert.rejects(new Watch(client, reply.id).done, /NOT_FOUND/)
    await assert.rejects(new Watch(client, reply.id.slice(0, 5)).done, /NOT_FOUND|BAD_USER_INPUT/)
  })
}

test('graphql-ws: queries and mutations over the socket', async (t) => {
  const client = createWS({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${user.token}` },
  })
  t.after(() => client.dispose())
  for await (const result of client.iterate({ query: '{ viewer { email } }' })) {
    assert.deepEqual(result, { data: { viewer: { email: user.email } } })
  }
})

test('graphql-ws: a wrong token closes with 4403, and a right one is taken up', async (t) => {
  const codes = []
  let attempts = 0
  const client = createWS({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ Authorization: `Bearer ${attempts++ === 0 ? 'wrong' : user.token}` }),
    shouldRetry: () => true,
    on: { closed: (event) => codes.push(event.code) },
  })
  t.after(() => client.dispose())
  for await (const result of client.iterate({ query: '{ viewer { id } }' })) {
    assert.deepEqual(result, { data: { viewer: { id: user.user.id } } })
  }
  assert.equal(codes[0], 4403)
  assert.equal(attempts, 2)
})

test('graphql-sse: a query as the only answer of a stream', async (t) => {
  const client = transports['graphql-sse'](url)
  t.after(() => client.dispose())
  for await (const result of client.iterate({ query: '{ viewer { email } }' })) {
    assert.deepEqual(result, { data: { viewer: { email: user.email } } })
  }
})

test('SSE: a subscription without Accept: text/event-stream names the ways there are', async () => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${user.token}` },
    body: JSON.stringify({ query: 'subscription { viewerEvents { __typename } }' }),
  })
  const body = await response.json()
  assert.equal(body.errors.length, 1)
  assert.match(body.errors[0].message, /WebSocket.*text\/event-stream/)
  assert.ok(body.errors[0].extensions?.code, `want a code, got ${JSON.stringify(body.errors[0])}`)
  await data(url, '{ viewer { id } }', {}, user.token)
})
