// The API as anybody calls it who has nothing but fetch.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, test } from 'node:test'
import {
  brief,
  call,
  data,
  finalMessage,
  password,
  readMessage,
  refreshDocument,
  refused,
  send,
  sendDocument,
  serverURL,
  signInDocument,
  signUp,
  signUpDocument,
  until,
} from '../lib/parley.mjs'

const url = serverURL()
let ada, eve

before(async () => {
  ;[ada, eve] = await Promise.all([signUp(url), signUp(url)])
})

const post = (body, headers = {}) =>
  fetch(`${url}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body })

test('signUp answers with tokens that work', async () => {
  assert.equal(ada.user.email, ada.email)
  assert.equal(ada.user.name, 'Ada')
  assert.ok(Date.parse(ada.expiresAt) > Date.now())
  assert.deepEqual(await data(url, '{ viewer { id email } }', {}, ada.token), {
    viewer: { id: ada.user.id, email: ada.email },
  })
})

test('signUp names every wrong field, and an address that is taken', async () => {
  const error = await refused(url, signUpDocument, { input: { email: 'nobody', password: 'short' } })
  assert.equal(error.extensions.code, 'BAD_USER_INPUT')
  assert.deepEqual(Object.keys(error.extensions.fields).sort(), ['email', 'password'])
  assert.equal(
    (await refused(url, signUpDocument, { input: { email: ada.email.toUpperCase(), password } })).extensions.code,
    'BAD_USER_INPUT',
  )
})

test('signIn takes the right password only, and does not tell what was wrong', async () => {
  const { signIn } = await data(url, signInDocument, { input: { email: ada.email.toUpperCase(), password } })
  assert.equal(signIn.user.id, ada.user.id)
  const wrong = await refused(url, signInDocument, { input: { email: ada.email, password: 'not the password' } })
  const unknown = await refused(url, signInDocument, { input: { email: `${randomUUID()}@example.com`, password } })
  assert.equal(wrong.extensions.code, 'UNAUTHENTICATED')
  assert.deepEqual(wrong, unknown)
})

test('refreshSession trades a refresh token once', async () => {
  const { signIn } = await data(url, signInDocument, { input: { email: ada.email, password } })
  const refresh = (refreshToken) => call(url, refreshDocument, { input: { refreshToken } })
  const second = (await refresh(signIn.refreshToken)).data.refreshSession
  assert.notEqual(second.refreshToken, signIn.refreshToken)
  assert.deepEqual(await data(url, '{ viewer { id } }', {}, second.accessToken), { viewer: { id: ada.user.id } })
  // A repeat at once, of a second tab or after a lost answer, gets the same one.
  assert.equal((await refresh(signIn.refreshToken)).data.refreshSession.refreshToken, second.refreshToken)
  const third = (await refresh(second.refreshToken)).data.refreshSession
  assert.notEqual(third.refreshToken, second.refreshToken)
  // An older one is a stolen one: it ends the session.
  assert.equal((await refresh(signIn.refreshToken)).errors[0].extensions.code, 'UNAUTHENTICATED')
  assert.equal((await refresh(third.refreshToken)).errors[0].extensions.code, 'UNAUTHENTICATED')
})

test('signOut ends the session and its access token', async () => {
  const { signIn } = await data(url, signInDocument, { input: { email: ada.email, password } })
  assert.deepEqual(await data(url, 'mutation { signOut { signedOut } }', {}, signIn.accessToken), {
    signOut: { signedOut: true },
  })
  const refresh = await refused(url, refreshDocument, { input: { refreshToken: signIn.refreshToken } })
  assert.equal(refresh.extensions.code, 'UNAUTHENTICATED')
  await until(
    'the access token ends',
    10_000,
    async () => (await call(url, '{ viewer { id } }', {}, signIn.accessToken)).data?.viewer == null,
  )
})

test('sendMessage with wait is one call for question and answer', async () => {
  const sent = await send(url, ada.token, { content: 'Hello', ...brief, wait: true })
  assert.equal(sent.userMessage.content, 'Hello')
  assert.equal(sent.userMessage.index, 1)
  assert.equal(sent.reply.index, 2)
  assert.equal(sent.reply.status, 'COMPLETED')
  assert.ok(sent.reply.content.length > 0)
  assert.equal(sent.conversation.headId, sent.reply.id)
  const stored = await readMessage(url, ada.token, sent.reply.id)
  assert.equal(stored.content, sent.reply.content)
  assert.ok(stored.usage.totalTokens > 0)
})

test('stopReply in mid-stream keeps what was written', async () => {
  const { reply } = await send(url, ada.token, {
    content: 'If I stopped you before the end of this rather long sentence, what then?',
  })
  const partial = await until('some words are there', 10_000, async () => {
    const { content } = await readMessage(url, ada.token, reply.id)
    return content.split(' ').length > 3 && content
  })
  const { stopReply } = await data(
    url,
    'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }',
    { id: reply.id },
    ada.token,
  )
  assert.equal(stopReply.message.id, reply.id)
  const final = await finalMessage(url, ada.token, reply.id)
  assert.equal(final.status, 'STOPPED')
  assert.equal(final.finishReason, null)
  assert.ok(final.content.startsWith(partial), `${final.content} begins with ${partial}`)
  // Twice is no error, and changes nothing.
  await data(
    url,
    'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }',
    { id: reply.id },
    ada.token,
  )
  assert.deepEqual(await readMessage(url, ada.token, reply.id), final)
})

test('the same clientKey gives the same pair, however often and at once', async () => {
  const input = { content: 'Perhaps', clientKey: randomUUID() }
  const sends = await Promise.all(Array.from({ length: 8 }, () => send(url, ada.token, input)))
  assert.equal(new Set(sends.map((s) => [s.conversation.id, s.userMessage.id, s.reply.id].join())).size, 1)
  assert.equal(sends.filter((s) => !s.deduplicated).length, 1)
  const again = await send(url, ada.token, { ...input, wait: true })
  assert.equal(again.deduplicated, true)
  assert.equal(again.reply.id, sends[0].reply.id)
  assert.equal(again.reply.status, 'COMPLETED')
  const other = await refused(url, sendDocument, { input: { ...input, content: 'Something else' } }, ada.token)
  assert.equal(other.extensions.code, 'IDEMPOTENCY_CONFLICT')
})

test('expectedHeadId of an older state is STALE_HEAD and writes nothing', async () => {
  const first = await send(url, ada.token, { content: 'Yes', ...brief, wait: true })
  const conversationId = first.conversation.id
  const second = await send(url, ada.token, {
    conversationId,
    content: 'No',
    expectedHeadId: first.reply.id,
    wait: true,
  })
  const stale = await refused(
    url,
    sendDocument,
    { input: { conversationId, content: 'Hm', expectedHeadId: first.reply.id } },
    ada.token,
  )
  assert.equal(stale.extensions.code, 'STALE_HEAD')
  assert.equal(stale.extensions.headId, second.reply.id)
  const query = 'query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { index role } } } }'
  const { nodes } = (await data(url, query, { id: conversationId }, ada.token)).conversation.messages
  assert.deepEqual(
    nodes.map((n) => [n.index, n.role]),
    [
      [1, 'USER'],
      [2, 'ASSISTANT'],
      [3, 'USER'],
      [4, 'ASSISTANT'],
    ],
  )
})

test('a second send into a busy conversation is CONVERSATION_BUSY and names the reply', async () => {
  const { conversation, reply } = await send(url, ada.token, { content: 'If you are busy then I can wait for you' })
  const busy = await refused(
    url,
    sendDocument,
    { input: { conversationId: conversation.id, content: 'Now!' } },
    ada.token,
  )
  assert.equal(busy.extensions.code, 'CONVERSATION_BUSY')
  assert.equal(busy.extensions.messageId, reply.id)
  await finalMessage(url, ada.token, reply.id)
})

test('a wrong token and no token are UNAUTHENTICATED', async () => {
  for (const token of ['wrong', ada.token.slice(0, -2) + 'xx', undefined]) {
    const error = await refused(url, '{ conversations { nodes { id } } }', {}, token)
    assert.equal(error.extensions.code, 'UNAUTHENTICATED', `token ${token}`)
    assert.deepEqual(error.path, ['conversations'])
  }
  // Signing in must work beside a token that has run out.
  await data(url, signInDocument, { input: { email: ada.email, password } }, 'wrong')
})

test('a second user sees nothing of the first', async () => {
  const sent = await send(url, ada.token, { content: 'Remember the canary', ...brief, wait: true })
  const reads = await data(
    url,
    `query ($c: ID!, $m: ID!, $u: ID!, $r: ID!) {
      conversation(id: $c) { id } c: node(id: $c) { id } m: node(id: $m) { id } u: node(id: $u) { id }
      nodes(ids: [$c, $m, $r]) { id } conversations(first: 100) { totalCount nodes { id } }
    }`,
    { c: sent.conversation.id, m: sent.userMessage.id, r: sent.reply.id, u: ada.user.id },
    eve.token,
  )
  assert.deepEqual(reads, {
    conversation: null,
    c: null,
    m: null,
    u: null,
    nodes: [null, null, null],
    conversations: { totalCount: 0, nodes: [] },
  })
  const unknown = sent.conversation.id.slice(0, -3) + 'AAA'
  for (const [query, variables] of [
    [sendDocument, (id) => ({ input: { conversationId: id, content: 'Hi' } })],
    [
      'mutation ($id: ID!) { updateConversation(input: { conversationId: $id, name: "x" }) { conversation { id } } }',
      (id) => ({ id }),
    ],
    ['mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { conversationId } }', (id) => ({ id })],
  ]) {
    const foreign = await refused(url, query, variables(sent.conversation.id), eve.token)
    assert.equal(foreign.extensions.code, 'NOT_FOUND')
    assert.deepEqual(
      foreign,
      await refused(url, query, variables(unknown), eve.token),
      'like an id that does not exist',
    )
  }
  const stop = await refused(
    url,
    'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }',
    { id: sent.reply.id },
    eve.token,
  )
  assert.equal(stop.extensions.code, 'NOT_FOUND')
  // The same key of another user is another key.
  const clientKey = randomUUID()
  const mine = await send(url, ada.token, { content: 'Yes', clientKey })
  const hers = await send(url, eve.token, { content: 'Yes', clientKey })
  assert.equal(hers.deduplicated, false)
  assert.notEqual(hers.conversation.id, mine.conversation.id)
})

test('shapes of errors', async (t) => {
  for (const [what, response, status, code] of [
    ['not JSON', () => post('{'), 400, 'BAD_REQUEST'],
    ['no query', () => post('{}'), 400, 'BAD_REQUEST'],
    ['a batch', () => post('[{"query":"{ viewer { id } }"}]'), 400, 'BAD_REQUEST'],
    ['a form', () => post('query=x', { 'Content-Type': 'application/x-www-form-urlencoded' }), 415, 'BAD_REQUEST'],
    ['too large', () => post(JSON.stringify({ query: `# ${'x'.repeat(1 << 20)}` })), 413, 'BAD_REQUEST'],
    ['a GET that any page could cause', () => fetch(`${url}/graphql?query={viewer{id}}`), 400, 'BAD_REQUEST'],
    ['a mutation by GET', () => fetch(`${url}/graphql?query=mutation{signOut{signedOut}}`), 405, 'BAD_REQUEST'],
    [
      'a page of elsewhere',
      () => post('{"query":"{ viewer { id } }"}', { Origin: 'https://evil.example' }),
      403,
      'FORBIDDEN',
    ],
    ['a syntax error', () => post('{"query":"{ viewer"}'), null, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', () => post('{"query":"{ nothing }"}'), null, 'GRAPHQL_VALIDATION_FAILED'],
  ]) {
    await t.test(what, async () => {
      const answer = await response()
      const text = await answer.text()
      if (status) assert.equal(answer.status, status, text)
      const body = JSON.parse(text)
      assert.equal(body.data ?? null, null)
      assert.equal(body.errors[0].extensions.code, code, text)
      assert.ok(body.errors[0].message.length > 10)
    })
  }
  await t.test('bad input', async () => {
    for (const input of [
      { content: '' },
      { content: 'x'.repeat((32 << 10) + 1) },
      { content: 'x', clientKey: 'short' },
    ]) {
      const error = await refused(url, sendDocument, { input }, ada.token)
      assert.equal(error.extensions.code, 'BAD_USER_INPUT', JSON.stringify(error))
      assert.deepEqual(error.path, ['sendMessage'])
    }
  })
})
