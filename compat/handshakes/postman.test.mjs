// Postman's GraphQL client. Written from
// https://learning.postman.com/docs/sending-requests/graphql/graphql-client-interface
// (its Authorization and Headers tabs are headers of the upgrade request) and
// https://github.com/postmanlabs/postman-app-support/issues/11943 (it speaks
// graphql-transport-ws only, and closes at a message of any other protocol).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { serverURL } from '../lib/parley.mjs'
import { scenarios } from './scenarios.mjs'
import { join, Socket } from './wire.mjs'

const url = serverURL()
const open = (base, token) =>
  Socket.open(base, 'graphql-transport-ws', { Authorization: `Bearer ${token}`, 'User-Agent': 'PostmanRuntime/7.43.0' })

describe('Postman', { concurrency: true }, () => {
  scenarios(async (base, token, t) => {
    const socket = await open(base, token)
    t.after(() => socket.close())
    return socket.init()
  })

  test('hears nothing but messages of the protocol', async (t) => {
    const { token } = await join(url)
    const socket = await open(url, token)
    t.after(() => socket.close())
    await socket.init()
    await socket.once('{ viewer { id } }')
    assert.deepEqual(
      socket.messages.map((m) => m.type),
      ['connection_ack', 'next', 'complete'],
    )
  })

  test('a bad token in the header closes the socket with 4403', async () => {
    const socket = await open(url, 'nonsense')
    socket.say({ type: 'connection_init' })
    assert.equal((await socket.closed).code, 4403)
  })
})
