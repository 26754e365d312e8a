// The npm package subscriptions-transport-ws 0.11 itself, set up as Altair does by
// default: packages/altair-core/src/request/handlers/ws.ts of altair-graphql/altair.
// It connects again by itself and starts what was running.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SubscriptionClient } from 'subscriptions-transport-ws'
import WebSocket from 'ws'
import {
  data,
  finalMessage,
  Parley,
  readMessage,
  refreshDocument,
  send,
  sendDocument,
  serverURL,
  Watch,
} from '../lib/parley.mjs'
import { long } from './scenarios.mjs'
import { join } from './wire.mjs'

const url = serverURL()
const longer = `I need ${Array.from({ length: 32 }, (_, i) => `thing${i}`).join(' ')}`

function connect(base, connectionParams, t) {
  const client = new SubscriptionClient(
    `${base.replace('http', 'ws')}/graphql`,
    { reconnect: true, connectionParams },
    WebSocket,
  )
  t.after(() => client.close())
  return {
    close: () => client.close(),
    subscribe: (request, sink) =>
      client.request(request).subscribe({ next: sink.next, error: sink.error, complete: sink.complete }).unsubscribe,
    once: (query, variables) =>
      new Promise((next, error) => client.request({ query, variables }).subscribe({ next, error })),
  }
}

// start starts a server that ends after its client: one that waits for its next
// attempt to connect cannot be closed any more.
async function start(t, settings) {
  const parley = await Parley.start(settings)
  let altair
  t.after(() => {
    altair?.close()
    return parley.close()
  })
  parley.altair = (params) => (altair = connect(parley.url, params, t))
  return parley
}

describe('subscriptions-transport-ws', { concurrency: true }, () => {
  test('a query, a mutation and a whole reply, word by word', async (t) => {
    const { token, user } = await join(url)
    const altair = connect(url, { Authorization: `Bearer ${token}` }, t)
    assert.equal((await altair.once('{ viewer { id } }')).data.viewer.id, user.id)
    const { reply } = (await altair.once(sendDocument, { input: { content: long } })).data.sendMessage

    const watch = await new Watch(altair, reply.id).done

    const stored = await readMessage(url, token, reply.id)
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
    assert.equal(watch.content, stored.content)
    assert.ok(watch.count('MessageDelta') >= 10, `want many deltas, got ${watch.types()}`)
  })

  test('errors have a code, in a result and for an invalid document', async (t) => {
    const { token, user } = await join(url)
    const altair = connect(url, { Authorization: `Bearer ${token}` }, t)
    const query = 'subscription ($id: ID!) { messageEvents(messageId: $id) { __typename } }'
    const result = await altair.once(query, { id: user.id }) // No message.
    assert.equal(result.errors[0].extensions.code, 'NOT_FOUND')
    const invalid = await altair.once('{ nothing }').then(
      (r) => r.errors[0],
      (error) => error,
    )
    assert.match(invalid.message, /nothing/)
  })

  test('a bad token is told', async (t) => {
    const told = new Promise((resolve) => {
      const client = new SubscriptionClient(
        `${url.replace('http', 'ws')}/graphql`,
        {
          connectionParams: { Authorization: 'Bearer nonsense' },
          connectionCallback: (error) => error && resolve(error),
        },
        WebSocket,
      )
      t.after(() => client.close())
    })
    assert.deepEqual(await told, { message: 'Forbidden' })
  })

  test('stopReply ends the stream with the text so far', async (t) => {
    const { token } = await join(url)
    const altair = connect(url, { Authorization: `Bearer ${token}` }, t)
    const { reply } = await send(url, token, { content: long })
    const watch = new Watch(altair, reply.id)
    await watch.when((w) => w.count('MessageDelta') === 3)
    await altair.once('mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }', { id: reply.id })
    await watch.done
    const stored = await readMessage(url, token, reply.id)
    assert.deepEqual([stored.status, watch.content], ['STOPPED', stored.content])
  })

  test('the server is killed in the middle and comes back', async (t) => {
    const parley = await start(t, { PARLEY_LEASE: '5s' })
    const { token } = await join(parley.url)
    const { reply } = await send(parley.url, token, { content: long })
    const watch = new Watch(parley.altair({ Authorization: `Bearer ${token}` }), reply.id)
    await watch.when((w) => w.count('MessageDelta') === 3)

    await parley.kill()
    await parley.start()
    await watch.done

    const stored = await finalMessage(parley.url, token, reply.id)
    assert.ok(stored.status === 'COMPLETED' && stored.attempt >= 2, `${JSON.stringify(stored)}\n${parley.log}`)
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
  })

  test('the access token ends in the middle', async (t) => {
    const parley = await start(t, { PARLEY_ACCESS_TTL: '5s' })
    let { token, refreshToken, expiresAt } = await join(parley.url)
    let refreshes = 0
    const params = async () => {
      if (Date.parse(expiresAt) - Date.now() < 500) {
        const { refreshSession: next } = await data(parley.url, refreshDocument, { input: { refreshToken } })
        ;({ accessToken: token, refreshToken, expiresAt } = next)
        refreshes++
      }
      return { Authorization: `Bearer ${token}` }
    }
    const { reply } = await send(parley.url, token, { content: longer })

    const watch = await new Watch(parley.altair(params), reply.id).done

    assert.ok(refreshes >= 1, 'a fresh token')
    await params()
    const stored = await readMessage(parley.url, token, reply.id)
    assert.deepEqual([stored.status, stored.attempt], ['COMPLETED', 1])
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
  })
})
