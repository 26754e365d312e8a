// Apollo Kotlin 5, and its older transport. Written from its documentation,
// https://www.apollographql.com/docs/kotlin/essentials/subscriptions, and the classes
// it names: GraphQLWsProtocol, SubscriptionWsProtocol, SubscribableWebSocket and
// DefaultHttpRequestComposer of apollographql/apollo-kotlin.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { finalMessage, sendDocument, serverURL, Watch } from '../lib/parley.mjs'
import { scenarios } from './scenarios.mjs'
import { join, multipart, Socket } from './wire.mjs'

const url = serverURL()
const bearer = (token) => ({ Authorization: `Bearer ${token}` })
const opens =
  (protocol, headers = {}) =>
  async (base, token, t) => {
    const socket = await Socket.open(base, protocol, headers)
    t.after(() => socket.close(1001)) // What it closes idle sockets with.
    return socket.init(bearer(token))
  }

describe('Apollo Kotlin', { concurrency: true }, () => {
  describe('GraphQLWsProtocol, the default of 5', { concurrency: true }, () => {
    const connect = opens('graphql-transport-ws')
    scenarios(connect)

    test('queries and mutations on the socket, pings, and several operations', async (t) => {
      const { token, user } = await join(url)
      const socket = await connect(url, token, t)
      assert.equal((await socket.once('{ viewer { id } }')).data.viewer.id, user.id)
      socket.say({ type: 'ping' })
      assert.deepEqual(await socket.hear('pong'), { type: 'pong' })
      const sent = await Promise.all(
        ['Hello', 'Good day'].map((content) => socket.once(sendDocument, { input: { content } })),
      )
      const watches = await Promise.all(sent.map(({ data }) => new Watch(socket, data.sendMessage.reply.id).done))
      for (const [i, { data }] of sent.entries()) {
        assert.equal(watches[i].partial, (await finalMessage(url, token, data.sendMessage.reply.id)).content)
      }
    })

    test('an invalid document gives an error message with a list, and nothing behind it', async (t) => {
      const { token } = await join(url)
      const socket = await connect(url, token, t)
      await assert.rejects(
        socket.once('{ nothing }'),
        (errors) => errors[0].extensions.code === 'GRAPHQL_VALIDATION_FAILED',
      )
      assert.equal((await socket.once('{ viewer { id } }')).errors, undefined)
      assert.deepEqual(
        socket.messages.map((m) => m.type),
        ['connection_ack', 'error', 'next', 'complete'],
      )
    })

    test('a bad token closes the socket with 4403', async () => {
      const socket = await Socket.open(url, 'graphql-transport-ws')
      socket.say({ type: 'connection_init', payload: bearer('nonsense') })
      assert.deepEqual(await socket.closed, { code: 4403, reason: 'Forbidden' })
    })
  })

  describe('SubscriptionWsProtocol, the default up to 4', { concurrency: true }, () => {
    scenarios(opens('graphql-ws'))

    test('a bad token gives connection_error', async () => {
      const socket = await Socket.open(url, 'graphql-ws')
      socket.say({ type: 'connection_init', payload: bearer('nonsense') })
      assert.equal((await socket.hear('connection_error')).type, 'connection_error')
      assert.equal((await socket.closed).code, 4403)
    })
  })

  for (const [version, accept] of Object.entries({
    5: 'multipart/mixed;subscriptionSpec=1.0, application/graphql-response+json, application/json',
    3: 'multipart/mixed; boundary="graphql"; subscriptionSpec=1.0, application/json',
  })) {
    describe(`HttpNetworkTransport of ${version}, multipart`, { concurrency: true }, () => {
      const connect = (base, token) =>
        multipart(base, {
          Accept: accept,
          'Apollo-Require-Preflight': 'true',
          'X-APOLLO-OPERATION-NAME': 'Watch',
          ...bearer(token),
        })
      scenarios(connect)

      test('a quiet stream has heartbeats', async () => {
        const { token } = await join(url)
        const client = connect(url, token)
        const beat = new Promise((resolve) => (client.beat = resolve))
        const results = []
        const stop = client.subscribe(
          { query: 'subscription { viewerEvents { __typename } }' },
          { next: (r) => results.push(r), error: () => {} },
        )
        await beat
        stop()
        assert.deepEqual(results, [{ data: { viewerEvents: { __typename: 'ViewerReady' } } }])
      })
    })
  }
})
