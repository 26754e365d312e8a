// urql with Graphcache: what another device does to the line is shown without a reload, and what the client does
// itself by the edges of the payloads, in updates.Mutation.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createClient, fetchExchange, gql, subscriptionExchange } from '@urql/core'
import { cacheExchange } from '@urql/exchange-graphcache'
import { getIntrospectionQuery } from 'graphql'
import { createClient as createSocket } from 'graphql-ws'
import { pipe, subscribe } from 'wonka'
import WebSocket from 'ws'
import { Device, follows, updates, versionFields } from '../lib/branches.mjs'
import { data, serverURL, signUp } from '../lib/parley.mjs'

const url = serverURL()

let schema
before(async () => {
  schema = await data(url, getIntrospectionQuery())
})

const chatPage = `id messages(last: 50) { edges { node { ${versionFields} } } }`
const chatQuery = gql(`query ($id: ID!) { conversation(id: $id) { ${chatPage} } }`)
const chatFeed = gql(`subscription ($id: ID!) {
  conversationEvents(conversationId: $id) {
    __typename
    ... on ConversationSnapshot { fromIndex conversation { ${chatPage} } }
    ... on MessageAdded { edge { node { ${versionFields} } } }
    ... on MessageSnapshot { message { ${versionFields} } }
    ... on MessageDelta { message { id } offset text }
    ... on MessageFinished { message { ${versionFields} } }
  }
}`)
const regenerateDocument = gql(`mutation ($input: RegenerateReplyInput!) {
  regenerateReply(input: $input) { conversation { id } replyEdge { node { ${versionFields} } } }
}`)
const editDocument = gql(`mutation ($input: EditMessageInput!) {
  editMessage(input: $input) {
    conversation { id }
    userMessageEdge { node { ${versionFields} } }
    replyEdge { node { ${versionFields} } }
  }
}`)

// append puts edges behind what they follow: versions that stood in their place leave the list.
const append = (cache, id, edges) =>
  cache.updateQuery({ query: chatQuery, variables: { id } }, (held) => {
    if (!held) return held
    const { messages } = held.conversation
    const before = messages.edges.filter(({ node }) => node.index < edges[0].node.index)
    const conversation = { ...held.conversation, messages: { ...messages, edges: [...before, ...edges] } }
    return { ...held, conversation }
  })

const content = gql`
  fragment Text on Message {
    id
    content
  }
`

const graphcache = () =>
  cacheExchange({
    schema,
    // Neither events nor lists have ids. A snapshot has the newest page of the line as it is: it takes the place of
    // what is held.
    keys: Object.fromEntries(
      [
        'ConversationSnapshot',
        'ConversationUpdated',
        'ConversationDeleted',
        'MessageAdded',
        'MessageSnapshot',
        'MessageDelta',
        'MessageReasoningDelta',
        'MessageFinished',
        'MessageConnection',
        'MessageEdge',
        'RegenerateReplyPayload',
        'EditMessagePayload',
      ].map((name) => [name, () => null]),
    ),
    updates: {
      Subscription: {
        conversationEvents({ conversationEvents: event }, { conversationId: id }, cache) {
          if (event.__typename === 'MessageAdded') append(cache, id, [event.edge])
          if (event.__typename !== 'MessageDelta') return
          const held = cache.readFragment(content, event.message)?.content
          if (held === undefined || held.length < event.offset) return
          cache.writeFragment(content, { ...event.message, content: held.slice(0, event.offset) + event.text })
        },
      },
      Mutation: {
        regenerateReply({ regenerateReply: { conversation, replyEdge } }, _, cache) {
          append(cache, conversation.id, [replyEdge])
        },
        editMessage({ editMessage: { conversation, userMessageEdge, replyEdge } }, _, cache) {
          append(cache, conversation.id, [userMessageEdge, replyEdge])
        },
      },
    },
  })

// begin makes a conversation of one question on another device, and shows it here.
async function begin(t) {
  const user = await signUp(url)
  const device = await Device.signIn(url, user)
  const { conversation } = await device.ask('sendMessage', { content: 'One /slow 0' })
  const headers = { Authorization: `Bearer ${user.token}` }
  const socket = createSocket({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket, // Node 20 has none of its own.
    connectionParams: headers,
  })
  t.after(() => socket.dispose())
  const client = createClient({
    url: `${url}/graphql`,
    preferGetMethod: false,
    fetchOptions: { headers },
    exchanges: [
      graphcache(),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query || '' }, sink) }),
        }),
      }),
    ],
  })
  const variables = { id: conversation.id }
  let held
  const { unsubscribe } = pipe(
    client.query(chatQuery, variables),
    subscribe(({ data }) => (held = data?.conversation.messages.edges.map(({ node }) => node))),
  )
  t.after(unsubscribe)
  await client.query(chatQuery, variables).toPromise()
  return { client, device, id: conversation.id, shown: () => held }
}

test('what another device does to the line is shown without a reload', async (t) => {
  const { client, device, id, shown } = await begin(t)
  const errors = []
  const feed = pipe(
    client.subscription(chatFeed, { id }),
    subscribe(({ error }) => error && errors.push(error)),
  )
  t.after(() => feed.unsubscribe())

  await follows(device, id, shown)

  assert.deepEqual(errors, [])
})

test('the edges of the payloads update the list at once', async (t) => {
  const { client, device, id, shown } = await begin(t)
  const mutate = async (document, input) => {
    const { error } = await client.mutation(document, { input: { ...input, model: 'script', wait: true } }).toPromise()
    assert.equal(error, undefined)
  }

  await updates(device, id, shown, {
    regenerate: (messageId) => mutate(regenerateDocument, { messageId }),
    edit: (messageId, content) => mutate(editDocument, { messageId, content }),
  })
})
