// What the user of a chat sees when something fails, and what the server has then. The server is real, and the chat
// has no framework.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { data, Parley, patience, signUp, until } from '../lib/parley.mjs'
import { Chat, ParleyTransport, session as sessionOf, texts } from './chat.mjs'

let parley

before(async () => {
  parley = await Parley.start({ PARLEY_MODEL: 'script', PARLEY_CONVERSATIONS_PER_DAY: '1', PARLEY_ACCESS_TTL: '2s' })
})

after(() => parley?.close())

/** A chat of a new user. */
async function enter({ url } = parley, fetch = globalThis.fetch) {
  const tokens = await signUp(url)
  const session = sessionOf({ url: `${url}/graphql`, webSocket: null, fetch })
  await session.adopt(tokens)
  const chat = new Chat({ transport: new ParleyTransport({ session }) })
  return { chat, session, url, token: tokens.token }
}

/** Requests that match arrive, and their answer is lost: "it may have been done". */
function losing(pattern, lost = 1) {
  const fetch = async (url, init) => {
    const answer = await globalThis.fetch(url, init)
    if (!pattern.test(init.body)) return answer
    fetch.keys.push(JSON.parse(init.body).variables.input.clientKey)
    if (fetch.keys.length > lost) return answer
    return Response.json({ errors: [{ message: 'Lost.', extensions: { code: 'INTERNAL' } }] })
  }
  fetch.keys = []
  return fetch
}

const all = `query { viewer { conversations(first: 5) { nodes { messages(last: 20) { nodes {
  id role status content siblingCount
} } } } } }`

async function onServer({ url, token }) {
  const { nodes } = (await data(url, all, {}, token)).viewer.conversations
  assert.equal(nodes.length, 1)
  return nodes[0].messages.nodes
}

const stop = ({ url, token }, messageId) =>
  data(url, 'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }', { id: messageId }, token)

const deletion = `mutation ($id: ID!) {
  deleteConversation(input: { conversationId: $id }) { conversationId }
}`

const grown = (chat, at = 1) => until('the reply grows', patience, () => texts(chat)[at]?.split(' ').length > 3)
const seen = ({ chat }) => [chat.status, chat.error?.code]

describe('failures', { concurrency: true }, () => {
  test('a send whose answer is lost is there once, also when it is sent again', async () => {
    const fetch = losing(/sendMessage/)
    const user = await enter(parley, fetch)
    await user.chat.sendMessage({ text: 'Hello.' })
    assert.deepEqual(seen(user), ['error', 'INTERNAL'])
    await user.chat.regenerate()
    assert.deepEqual([...seen(user), user.chat.messages.length], ['ready', undefined, 2])
    assert.equal(fetch.keys[0], fetch.keys[1])
    assert.deepEqual(
      (await onServer(user)).map(({ siblingCount }) => siblingCount),
      [1, 1],
    )
  })

  test('so is another version of a reply, and of a question', async () => {
    const fetch = losing(/regenerateReply/)
    const user = await enter(parley, fetch)
    await user.chat.sendMessage({ text: 'Hello.' })
    await user.chat.regenerate()
    assert.deepEqual(seen(user), ['error', 'INTERNAL'])
    await user.chat.regenerate()
    assert.deepEqual(seen(user), ['ready', undefined])
    assert.deepEqual(
      (await onServer(user)).map(({ siblingCount }) => siblingCount),
      [1, 2],
    )
    await user.chat.regenerate()
    assert.equal((await onServer(user))[1].siblingCount, 3)
    assert.equal(new Set(fetch.keys).size, 2)
  })

  for (const [how, again] of [
    ['regenerate()', (chat) => chat.regenerate()],
    ['the same edit', (chat, edit) => chat.sendMessage(edit)],
  ]) {
    test(`an edit is kept, and ${how} sends it again`, async () => {
      const fetch = losing(/editMessage/)
      const user = await enter(parley, fetch)
      const { chat } = user
      await chat.sendMessage({ text: 'Hello.' })
      const edit = { text: 'Good day.', messageId: chat.messages[0].id }
      await chat.sendMessage(edit)
      assert.deepEqual([...seen(user), ...texts(chat)], ['error', 'INTERNAL', 'Good day.'])
      await again(chat, edit)
      const [question, reply] = await onServer(user)
      assert.deepEqual([question.content, question.siblingCount, reply.siblingCount], ['Good day.', 2, 1])
      assert.deepEqual([...seen(user), texts(chat)[1]], ['ready', undefined, `|${reply.content}`])
      assert.equal(fetch.keys[0], fetch.keys[1])
    })
  }

  test('an answer that never comes is asked for again by itself', async () => {
    let cut = 0
    const user = await enter(parley, async (url, init) => {
      const answer = await fetch(url, init)
      if (/sendMessage/.test(init.body) && !cut++) throw new TypeError('cut')
      return answer
    })
    await user.chat.sendMessage({ text: 'Hello.' })
    assert.deepEqual([...seen(user), cut, (await onServer(user)).length], ['ready', undefined, 2, 2])
  })

  test('busy, and then stale', async () => {
    const user = await enter()
    const { chat, session } = user
    await chat.sendMessage({ text: 'Hello.' })
    const { conversationId } = chat.messages[1].metadata
    const transport = new ParleyTransport({ session, conversationId })
    const other = new Chat({ transport, messages: await transport.load() })
    const sent = other.sendMessage({ text: 'Tides. /tokens 2000' })
    await grown(other, 3)
    await chat.regenerate()
    assert.deepEqual(seen(user), ['error', 'CONVERSATION_BUSY'])
    assert.equal(chat.error.extensions.messageId, other.messages[3].id)
    await stop(user, other.messages[3].id)
    await sent
    await chat.sendMessage({ text: 'Ebb.' })
    assert.deepEqual(seen(user), ['error', 'STALE_HEAD'])
  })

  test('a quota says which one, and until when', async () => {
    const user = await enter()
    await user.chat.sendMessage({ text: 'Hello.' })
    user.chat = new Chat({ transport: new ParleyTransport({ session: user.session }) })
    await user.chat.sendMessage({ text: 'Hello.' })
    assert.deepEqual(seen(user), ['error', 'QUOTA_EXCEEDED'])
    assert.equal(user.chat.error.extensions.quota, 'conversations_per_day')
    assert.match(user.chat.error.extensions.resetsOn, /^\d{4}-/)
  })

  test('an overload that lasts is an error, and again is the same message', async () => {
    const keys = []
    const user = await enter(parley, async (url, init) => {
      if (!/sendMessage/.test(init.body)) return fetch(url, init)
      keys.push(JSON.parse(init.body).variables.input.clientKey)
      if (keys.length > 1) return fetch(url, init)
      const extensions = { code: 'OVERLOADED', retryAfter: 90 }
      return Response.json({ errors: [{ message: 'Much to do.', extensions }] }, { status: 503 })
    })
    await user.chat.sendMessage({ text: 'Hello.' })
    assert.deepEqual([...seen(user), user.chat.error.extensions.retryAfter], ['error', 'OVERLOADED', 90])
    await user.chat.regenerate()
    assert.deepEqual([...seen(user), keys.length, keys[1]], ['ready', undefined, 2, keys[0]])
    assert.equal((await onServer(user)).length, 2)
  })

  test('a token that ends in mid-reply is renewed, and nothing is seen of it', async () => {
    const requests = []
    const user = await enter(parley, (url, init) => {
      const [name] = /messageEvents|refreshSession/.exec(init.body) ?? []
      if (name) requests.push(name)
      // The stream ends with its token. The next one comes too late for it.
      const headers = { ...init.headers, ...(requests.length === 2 && { Authorization: 'Bearer over' }) }
      return fetch(url, { ...init, headers })
    })
    await user.chat.sendMessage({ text: 'Tides. /tokens 130' })
    assert.deepEqual(seen(user), ['ready', undefined])
    assert.equal(texts(user.chat)[1], `|${(await onServer(user))[1].content}`)
    assert.deepEqual(requests.slice(0, 4), ['messageEvents', 'messageEvents', 'refreshSession', 'messageEvents'])
  })

  test('a sign-out elsewhere in mid-reply keeps the text so far, and says so', async () => {
    const user = await enter()
    const sent = user.chat.sendMessage({ text: 'Tides. /tokens 2000' })
    await grown(user.chat)
    await data(parley.url, 'mutation { signOut { signedOut } }', {}, user.token)
    await sent
    assert.deepEqual(seen(user), ['error', 'UNAUTHENTICATED'])
    assert.match(texts(user.chat)[1], /^\|Tides\. /)
    await user.chat.sendMessage({ text: 'Ebb.' })
    assert.deepEqual(seen(user), ['error', 'UNAUTHENTICATED'])
  })
})

test('what is watched ends with its conversation, and with the session; not with what it returned', async () => {
  const user = await enter()
  const { chat, session } = user
  await chat.sendMessage({ text: 'Hello.' })
  const { conversationId } = chat.messages[1].metadata
  const watch = (conversationId) => {
    const transport = new ParleyTransport({ session, conversationId })
    const shown = new Chat({ transport })
    const ended = new Promise((resolve) => {
      shown.leave = transport.watch(shown, (error) => resolve(error?.code ?? 'deleted'))
    })
    return { shown, ended }
  }
  const isShown = ({ shown }) => until('it is shown', patience, () => shown.messages.length === 2)
  const [first, second] = [watch(conversationId), watch(conversationId)]
  await Promise.all([isShown(first), isShown(second)])
  first.shown.leave()
  const left = await Promise.race([first.ended, new Promise((done) => setImmediate(done, 'nothing'))])
  await data(parley.url, deletion, { id: conversationId }, user.token)
  assert.deepEqual([left, await second.ended, await watch(conversationId).ended], ['nothing', 'deleted', 'NOT_FOUND'])
  await session.signOut()
  assert.equal(await watch(conversationId).ended, 'UNAUTHENTICATED')
})

test('a server that is killed in mid-reply begins the reply anew, and nothing is there twice', async (t) => {
  const own = await Parley.start({ PARLEY_MODEL: 'script' })
  t.after(() => own.close())
  const user = await enter(own)
  const sent = user.chat.sendMessage({ text: 'Tides. /tokens 100' })
  await grown(user.chat)
  await own.kill()
  await own.start()
  await sent
  const [, { status, content }] = await onServer(user)
  assert.deepEqual([...seen(user), status], ['ready', undefined, 'COMPLETED'])
  assert.deepEqual(texts(user.chat).slice(1), [`|${content}`])
})
