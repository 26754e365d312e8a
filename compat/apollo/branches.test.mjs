// Apollo Client with one list in its cache: what another device does to the line is shown without a reload, and what
// the client does itself by the edges of the payloads, with cache.modify.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { Device, follows, updates, versionFields } from '../lib/branches.mjs'
import { serverURL, signUp } from '../lib/parley.mjs'

// Browsers have one, Node 20 does not.
globalThis.WebSocket ??= WebSocket

const url = serverURL()

const chatFields = gql`
  fragment Chat on Conversation {
    id
    messages(last: 50) { edges { node { ${versionFields} } } }
  }
`
const chatQuery = gql`
  query ($id: ID!) {
    conversation(id: $id) {
      ...Chat
    }
  }
  ${chatFields}
`
const chatFeed = gql`
  subscription ($id: ID!) {
    conversationEvents(conversationId: $id) {
      __typename
      ... on ConversationSnapshot { fromIndex conversation { ...Chat } }
      ... on MessageAdded { edge { node { ${versionFields} } } }
      ... on MessageSnapshot { message { ${versionFields} } }
      ... on MessageDelta { message { id } offset text }
      ... on MessageFinished { message { ${versionFields} } }
    }
  }
  ${chatFields}
`
const regenerateDocument = gql`
  mutation ($input: RegenerateReplyInput!) {
    regenerateReply(input: $input) { replyEdge { node { ${versionFields} } } }
  }
`
const editDocument = gql`
  mutation ($input: EditMessageInput!) {
    editMessage(input: $input) {
      userMessageEdge { node { ${versionFields} } }
      replyEdge { node { ${versionFields} } }
    }
  }
`

// begin makes a conversation of one question on another device, and shows it here.
async function begin(t) {
  const user = await signUp(url)
  const device = await Device.signIn(url, user)
  const { conversation } = await device.ask('sendMessage', { content: 'One /slow 0' })
  const headers = { Authorization: `Bearer ${user.token}` }
  const socket = createClient({ url: `${url.replace('http', 'ws')}/graphql`, connectionParams: headers })
  const client = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      new HttpLink({ uri: `${url}/graphql`, headers }),
    ),
    // A snapshot has the newest page of the line as it is: it takes the place of what is held.
    cache: new InMemoryCache({
      typePolicies: { Conversation: { fields: { messages: { keyArgs: false, merge: false } } } },
    }),
  })
  t.after(() => {
    client.stop()
    return socket.dispose()
  })
  const variables = { id: conversation.id }
  await client.query({ query: chatQuery, variables })
  let held
  const watching = client.watchQuery({ query: chatQuery, variables, fetchPolicy: 'cache-only' }).subscribe(
    ({ data, dataState }) => {
      if (dataState === 'complete') held = data.conversation.messages.edges.map(({ node }) => node)
    },
  )
  t.after(() => watching.unsubscribe())
  return { client, device, id: conversation.id, shown: () => held }
}

// append puts edges behind what they follow: versions that stood in their place leave the list.
function append(client, conversationId, edges) {
  client.cache.modify({
    id: client.cache.identify({ __typename: 'Conversation', id: conversationId }),
    fields: {
      messages: (held, { readField, toReference }) => ({
        ...held,
        edges: [
          ...held.edges.filter(({ node }) => readField('index', node) < edges[0].node.index),
          ...edges.map((edge) => ({ ...edge, node: toReference(edge.node) })),
        ],
      }),
    },
  })
}

test('what another device does to the line is shown without a reload', async (t) => {
  const { client, device, id, shown } = await begin(t)
  const errors = []
  const snapshots = []
  const feed = client.subscribe({ query: chatFeed, variables: { id } }).subscribe(({ data, error }) => {
    if (error) return errors.push(error)
    const event = data.conversationEvents
    if (event.__typename === 'ConversationSnapshot') snapshots.push(event.fromIndex)
    if (event.__typename === 'MessageAdded') append(client, id, [event.edge])
    if (event.__typename !== 'MessageDelta') return
    const content = (held) => (held.length < event.offset ? held : held.slice(0, event.offset) + event.text)
    client.cache.modify({ id: client.cache.identify(event.message), fields: { content } })
  })
  t.after(() => feed.unsubscribe())

  await follows(device, id, shown)

  assert.deepEqual(errors, [])
  assert.equal(snapshots[0], null, 'all at the beginning')
  assert.ok(snapshots.slice(1).every(Number.isInteger), `then from an index on: ${snapshots}`)
})

test('the edges of the payloads update the list at once', async (t) => {
  const { client, device, id, shown } = await begin(t)
  const mutate = (mutation, input, edgesOf) =>
    client.mutate({
      mutation,
      variables: { input: { ...input, model: 'script', wait: true } },
      update: (_, { data }) => append(client, id, edgesOf(data)),
    })

  await updates(device, id, shown, {
    regenerate: (messageId) =>
      mutate(regenerateDocument, { messageId }, ({ regenerateReply: { replyEdge } }) => [replyEdge]),
    edit: (messageId, content) =>
      mutate(editDocument, { messageId, content }, ({ editMessage: { userMessageEdge, replyEdge } }) => [
        userMessageEdge,
        replyEdge,
      ]),
  })
})
