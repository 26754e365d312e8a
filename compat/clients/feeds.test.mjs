// The feeds of a conversation and of the list of conversations, over graphql-ws.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { brief, data, finalMessage, send, serverURL, signUp, until } from '../lib/parley.mjs'

const url = serverURL()
let user

before(async () => {
  user = await signUp(url)
})

// follow collects what a subscription delivers.
function follow(t, token, query, variables) {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
    shouldRetry: () => true,
  })
  t.after(() => client.dispose())
  const feed = { events: [], completed: false, error: null, types: () => feed.events.map((e) => e.__typename) }
  client.subscribe(
    { query, variables },
    {
      next: ({ data, errors }) => (errors ? (feed.error = errors) : feed.events.push(Object.values(data)[0])),
      error: (error) => (feed.error = error),
      complete: () => (feed.completed = true),
    },
  )
  feed.when = (what, check) =>
    until(what, 15_000, () => {
      assert.equal(feed.error, null, `error of the feed: ${JSON.stringify(feed.error)}`)
      return check(feed)
    })
  return feed
}

const conversationFeed = `subscription ($id: ID!) { conversationEvents(conversationId: $id) {
  __typename
  ... on ConversationSnapshot { conversation { id name headId } runningReply { id } }
  ... on ConversationUpdated { conversation { id name headId } }
  ... on ConversationDeleted { conversationId }
  ... on MessageAdded { message { id role index content status } }
  ... on MessageSnapshot { message { id content } }
  ... on MessageDelta { message { id } offset text }
  ... on MessageFinished { message { id status content } }
} }`

const viewerFeed = `subscription { viewerEvents {
  __typename
  ... on ViewerReady { viewer { id } }
  ... on ConversationCreated { conversation { id name } }
  ... on ConversationUpdated { conversation { id name headId pinned } }
  ... on ConversationDeleted { conversationId }
} }`

const create = 'mutation { createConversation(input: {}) { conversation { id name headId } } }'

test('conversationEvents: a whole exchange, then the end of the conversation', async (t) => {
  const { conversation } = (await data(url, create, {}, user.token)).createConversation
  const feed = follow(t, user.token, conversationFeed, { id: conversation.id })
  await feed.when('the snapshot', (f) => f.events.length > 0)
  assert.deepEqual(feed.events[0], { __typename: 'ConversationSnapshot', conversation, runningReply: null })

  const sent = await send(url, user.token, { conversationId: conversation.id, content: 'I feel tired today.' })
  await feed.when('the reply has finished', (f) => f.types().includes('MessageFinished'))

  const added = feed.events.filter((e) => e.__typename === 'MessageAdded').map((e) => e.message)
  assert.deepEqual(
    added.map((m) => [m.id, m.role, m.index]),
    [
      [sent.userMessage.id, 'USER', 1],
      [sent.reply.id, 'ASSISTANT', 2],
    ],
  )
  let content = ''
  for (const event of feed.events) {
    if (event.message?.id !== sent.reply.id) continue
    if (event.__typename === 'MessageSnapshot') content = event.message.content
    if (event.__typename === 'MessageDelta') content = content.slice(0, event.offset) + event.text
  }
  const stored = await finalMessage(url, user.token, sent.reply.id)
  assert.equal(content, stored.content)
  assert.deepEqual(feed.events.find((e) => e.__typename === 'MessageFinished').message, {
    id: sent.reply.id,
    status: 'COMPLETED',
    content: stored.content,
  })
  await feed.when('the new head', (f) =>
    f.events.some((e) => e.__typename === 'ConversationUpdated' && e.conversation.headId === sent.reply.id),
  )

  // Somebody who comes in the middle is told what runs.
  const second = await send(url, user.token, {
    conversationId: conversation.id,
    content: 'If I could sleep well again, I would.',
  })
  const late = follow(t, user.token, conversationFeed, { id: conversation.id })
  await late.when('the second reply has finished', (f) => f.types().includes('MessageFinished'))
  assert.equal(late.events[0].__typename, 'ConversationSnapshot')
  assert.equal(late.events[0].runningReply?.id, second.reply.id)
  assert.ok(late.types().includes('MessageSnapshot'), `want the running reply's snapshot in ${late.types()}`)

  await data(
    url,
    'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { conversationId } }',
    { id: conversation.id },
    user.token,
  )
  for (const f of [feed, late]) {
    await f.when('the feed completes', () => f.completed)
    assert.deepEqual(f.events.at(-1), { __typename: 'ConversationDeleted', conversationId: conversation.id })
  }
})

test('viewerEvents: the list of conversations on another device', async (t) => {
  const feed = follow(t, user.token, viewerFeed)
  await feed.when('ViewerReady', (f) => f.events.length > 0)
  assert.deepEqual(feed.events[0], { __typename: 'ViewerReady', viewer: { id: user.user.id } })

  const { conversation, reply } = await send(url, user.token, { content: 'My garden is large' })
  const of = (type) =>
    feed.events.filter((e) => e.__typename === type && (e.conversation?.id ?? e.conversationId) === conversation.id)
  await feed.when('ConversationCreated', () => of('ConversationCreated').length === 1)
  assert.equal(of('ConversationCreated')[0].conversation.name, 'My garden is large')

  await data(
    url,
    'mutation ($id: ID!) { updateConversation(input: { conversationId: $id, pinned: true, name: "Garden" }) { conversation { id } } }',
    { id: conversation.id },
    user.token,
  )
  await feed.when('ConversationUpdated', () =>
    of('ConversationUpdated').some((e) => e.conversation.pinned && e.conversation.name === 'Garden'),
  )

  await finalMessage(url, user.token, reply.id)
  await data(
    url,
    'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { conversationId } }',
    { id: conversation.id },
    user.token,
  )
  await feed.when('ConversationDeleted', () => of('ConversationDeleted').length === 1)
  assert.equal(feed.completed, false)
})

test('feeds of one user tell nothing to another', async (t) => {
  const stranger = await signUp(url)
  const { conversation } = (await data(url, create, {}, user.token)).createConversation
  const list = follow(t, stranger.token, viewerFeed)
  await list.when('ViewerReady', (f) => f.events.length > 0)
  const refused = follow(t, stranger.token, conversationFeed, { id: conversation.id })
  await until('the refusal', 10_000, () => refused.error || refused.completed)
  assert.match(JSON.stringify(refused.error), /NOT_FOUND/)
  assert.deepEqual(refused.events, [])

  const secret = { conversationId: conversation.id, content: 'A secret', ...brief, wait: true }
  const { reply } = await send(url, user.token, secret)
  // The stranger's own event comes behind everything that could have leaked.
  const own = await send(url, stranger.token, { content: 'Hello', ...brief, wait: true })
  await list.when('the own conversation', (f) => f.events.some((e) => e.conversation?.id === own.conversation.id))
  assert.ok(!JSON.stringify(list.events).includes(conversation.id))
  assert.equal(reply.status, 'COMPLETED')
})
