// Apollo iOS 2. Written from its documentation,
// https://www.apollographql.com/docs/ios/networking/websocket-transport, from
// OperationMessage and JSONRequest of apollographql/apollo-ios-dev, and from Apollo's
// description of multipart subscriptions,
// https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol,
// which shows the version quoted.
import { describe } from 'node:test'
import { scenarios } from './scenarios.mjs'
import { multipart, Socket } from './wire.mjs'

const named = { 'apollographql-client-name': 'com.example.chat-apollo-ios', 'apollographql-client-version': '1.0-1' }

describe('Apollo iOS', { concurrency: true }, () => {
  describe('WebSocketTransport with connectingPayload', { concurrency: true }, () => {
    scenarios(async (base, token, t) => {
      const socket = await Socket.open(base, 'graphql-transport-ws', named)
      t.after(() => socket.close())
      return socket.init({ authorization: `Bearer ${token}` })
    })
  })

  describe('WebSocketTransport with the header of its request', { concurrency: true }, () => {
    scenarios(async (base, token, t) => {
      const socket = await Socket.open(base, 'graphql-transport-ws', { ...named, Authorization: `Bearer ${token}` })
      t.after(() => socket.close())
      return socket.init({})
    })
  })

  for (const spec of ['1.0', '"1.0"']) {
    describe(`multipart with subscriptionSpec=${spec}`, { concurrency: true }, () => {
      scenarios((base, token) => multipart(base, {
        ...named,
        Accept: `multipart/mixed;subscriptionSpec=${spec},application/graphql-response+json,application/json`,
        'X-APOLLO-OPERATION-NAME': 'Watch',
        Authorization: `Bearer ${token}`,
      }))
    })
  }
})
