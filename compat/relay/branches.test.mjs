// Relay with one connection in its store: what another device does to the line is shown without a reload, and what
// the client does itself by @appendEdge on the edges of the payloads.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createClient } from 'graphql-ws'
import relay from 'relay-runtime'
import WebSocket from 'ws'
import { Device, follows, updates } from '../lib/branches.mjs'
import { serverURL, signUp } from '../lib/parley.mjs'
import { compile } from './compile.mjs'

const { commitMutation, ConnectionHandler, createOperationDescriptor, Environment, fetchQuery, Network } = relay
const { Observable, RecordSource, requestSubscription, Store } = relay
const url = serverURL()

let documents
before(async () => {
  documents = await compile('branches')
})

// begin makes a conversation of one question on another device, and shows it here.
async function begin(t) {
  const user = await signUp(url)
  const device = await Device.signIn(url, user)
  const { conversation } = await device.ask('sendMessage', { content: 'One /slow 0' })
  const { id } = conversation
  const headers = { Authorization: `Bearer ${user.token}` }
  const socket = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket, // Node 20 has none of its own.
    connectionParams: headers,
  })
  t.after(() => socket.dispose())
  const ask = async ({ text }, variables) => {
    const body = JSON.stringify({ query: text, variables })
    const type = { 'Content-Type': 'application/json' }
    return (await fetch(`${url}/graphql`, { method: 'POST', headers: { ...headers, ...type }, body })).json()
  }
  const subscribe = ({ name, text }, variables) =>
    Observable.create((sink) => socket.subscribe({ operationName: name, query: text, variables }, sink))
  const store = new Store(new RecordSource())
  const environment = new Environment({ network: Network.create(ask, subscribe), store })

  const operation = createOperationDescriptor(documents.ChatQuery, { id })
  t.after(environment.retain(operation).dispose)
  await fetchQuery(environment, documents.ChatQuery, { id }).toPromise()
  const shown = () => environment.lookup(operation.fragment).data.conversation.messages.edges.map(({ node }) => node)
  return { environment, device, id, shown, connections: [ConnectionHandler.getConnectionID(id, 'branches_messages')] }
}

// cut takes the versions off a list that stand where the message stands which has been appended, and what follows them.
function cut(store, connection, id) {
  const list = store.get(connection)
  const nodes = list.getLinkedRecords('edges').map((edge) => edge.getLinkedRecord('node'))
  const index = store.get(id).getValue('index')
  const at = nodes.findIndex((node) => node.getDataID() === id)
  for (const node of nodes.slice(0, at)) {
    if (node.getValue('index') >= index) ConnectionHandler.deleteNode(list, node.getDataID())
  }
}

test('what another device does to the line is shown without a reload', async (t) => {
  const { environment, device, id, shown, connections } = await begin(t)
  const errors = []
  const { dispose } = requestSubscription(environment, {
    subscription: documents.FeedSubscription,
    variables: { id, connections },
    updater(store, { conversationEvents: event }) {
      if (event.__typename !== 'MessageDelta') return
      const message = store.get(event.message.id)
      const held = message?.getValue('content')
      if (held?.length >= event.offset) message.setValue(held.slice(0, event.offset) + event.text, 'content')
    },
    onError: (error) => errors.push(error),
  })
  t.after(dispose)

  await follows(device, id, shown)

  assert.deepEqual(errors, [])
})

test('the edges of the payloads update the list at once', async (t) => {
  const { environment, device, id, shown, connections } = await begin(t)
  const mutate = (mutation, input, first) =>
    new Promise((onCompleted, onError) =>
      commitMutation(environment, {
        mutation,
        variables: { input: { ...input, model: 'script', wait: true }, connections },
        updater: (store, data) => cut(store, connections[0], first(data).node.id),
        onCompleted,
        onError,
      }),
    )

  await updates(device, id, shown, {
    regenerate: (messageId) =>
      mutate(documents.RegenerateMutation, { messageId }, ({ regenerateReply }) => regenerateReply.replyEdge),
    edit: (messageId, content) =>
      mutate(documents.EditMutation, { messageId, content }, ({ editMessage }) => editMessage.userMessageEdge),
  })
})
