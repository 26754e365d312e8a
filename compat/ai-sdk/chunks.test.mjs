// What a reply becomes: chunks, and what the AI SDK makes of them. The session is played, the rest is real.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { bundle, Chat, own, packages, ParleyTransport, Refused, texts } from './chat.mjs'

const turn = () => new Promise((done) => setTimeout(done))

/** A session whose answers and events the test says. */
class Played {
  calls = []
  #events = { messageEvents: [], conversationEvents: [] }
  #wakes = new Set()

  constructor(answers = {}) {
    this.answers = {
      sendMessage: { deduplicated: false, conversation: { id: 'c' }, userMessage: { id: 'u' }, reply: reply({}) },
      regenerateReply: { conversation: { id: 'c' }, userMessage: { id: 'u' }, reply: { id: 'r' } },
      editMessage: { conversation: { id: 'c' }, userMessage: { id: 'u2' }, reply: { id: 'r' } },
      stopReply: { message: { id: 'r' } },
      node: null,
      ...answers,
    }
  }

  async run(document, variables) {
    const name = Object.keys(this.answers).find((name) => document.includes(`${name}(`))
    this.calls.push([name, variables.input ?? variables])
    const answer = await this.answers[name]
    if (answer instanceof Error) throw answer
    return { [name]: answer }
  }

  say = (...events) => this.#tell('messageEvents', events)
  tell = (...events) => this.#tell('conversationEvents', events)

  #tell(name, events) {
    this.#events[name].push(...events)
    this.#wake()
  }

  #wake() {
    this.#wakes.forEach((wake) => wake())
    this.#wakes.clear()
  }

  async *subscribe(document, _variables, { signal }) {
    const name = Object.keys(this.#events).find((name) => document.includes(`${name}(`))
    signal.addEventListener('abort', () => this.#wake())
    while (!signal.aborted) {
      while (this.#events[name].length) yield { [name]: this.#events[name].shift() }
      await new Promise((wake) => this.#wakes.add(wake))
    }
  }

  names = () => this.calls.map(([name]) => name)
}

const reply = (state) => ({
  id: 'r',
  status: 'STREAMING',
  content: '',
  reasoning: '',
  attempt: 1,
  error: null,
  finishReason: null,
  conversation: { id: 'c' },
  ...state,
})
const snapshot = (state) => ({ __typename: 'MessageSnapshot', cursor: 'x', message: reply(state) })
const finished = (state) => ({ __typename: 'MessageFinished', message: reply({ status: 'COMPLETED', ...state }) })
const delta = (offset, text, type = 'MessageDelta') => ({
  __typename: type,
  cursor: 'x',
  offset,
  text,
  message: { id: 'r', attempt: 1 },
})

const question = (id, text = 'Hello') => ({ id, role: 'user', parts: [{ type: 'text', text }] })

const submit = (transport, options = {}) =>
  transport.sendMessages({ chatId: 'x', trigger: 'submit-message', messages: [question('key-of-the-ui')], ...options })

async function read(stream) {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

describe('chunks of a reply', () => {
  test('thoughts, text, sources and the end', async () => {
    const usage = { promptTokens: 3, completionTokens: 4, totalTokens: 7 }
    const citations = [
      { url: 'https://example.com/a', title: 'A' },
      { url: 'javascript:alert(1)', title: null },
    ]
    const details = { model: 'm', usage, siblingCount: 1, siblingPosition: 1 }
    const session = new Played({ node: { ...details, citations } })
    session.say(
      snapshot({ reasoning: 'Hm' }),
      delta(2, 'm.', 'MessageReasoningDelta'),
      delta(0, 'He'),
      delta(2, 'llo'),
      finished({ reasoning: 'Hmm.', content: 'Hello!', finishReason: 'LENGTH' }),
    )
    const transport = new ParleyTransport({ session })
    const chunks = await read(await submit(transport))
    const ids = { id: 'r', conversationId: 'c' }
    assert.deepEqual(chunks, [
      { type: 'start', messageId: 'r', messageMetadata: ids },
      { type: 'start-step' },
      { type: 'reasoning-start', id: '1' },
      { type: 'reasoning-delta', id: '1', delta: 'Hm' },
      { type: 'reasoning-delta', id: '1', delta: 'm.' },
      { type: 'reasoning-end', id: '1' },
      { type: 'text-start', id: '2' },
      { type: 'text-delta', id: '2', delta: 'He' },
      { type: 'text-delta', id: '2', delta: 'llo' },
      { type: 'text-delta', id: '2', delta: '!' },
      { type: 'text-end', id: '2' },
      { type: 'source-url', sourceId: '1', url: 'https://example.com/a', title: 'A' },
      { type: 'finish-step' },
      {
        type: 'finish',
        finishReason: 'length',
        messageMetadata: { ...ids, ...details, status: 'COMPLETED', finishReason: 'LENGTH', error: null },
      },
    ])
    const input = { content: 'Hello', clientKey: 'key-of-the-ui', conversationId: null }
    assert.deepEqual(session.calls[0], ['sendMessage', input])
    assert.equal(transport.conversationId, 'c')
  })

  test('a new attempt takes the place of what was shown', async () => {
    const session = new Played()
    const again = { attempt: 2, content: 'Two' }
    session.say(snapshot({ content: 'One' }), snapshot({ ...again, content: 'Tw' }), finished(again))
    const chat = new Chat({ transport: new ParleyTransport({ session }) })
    await chat.sendMessage({ text: 'Hello' })
    assert.deepEqual(texts(chat), ['Hello', '|Two'])
    assert.equal(chat.messages[1].id, 'r')
    assert.equal(chat.status, 'ready')
  })

  test('a reply that fails keeps its text and has a code', async () => {
    const session = new Played()
    const error = { code: 'UPSTREAM_ERROR', message: 'It broke.', retryable: true }
    session.say(snapshot({ content: 'On' }), finished({ status: 'FAILED', content: 'One', error }))
    const chat = new Chat({ transport: new ParleyTransport({ session }) })
    await chat.sendMessage({ text: 'Hello' })
    assert.deepEqual([texts(chat)[1], chat.status, chat.error.code], ['|One', 'error', 'UPSTREAM_ERROR'])
    assert.equal(chat.messages[1].metadata.status, 'FAILED')
  })
})

describe('stops and ends that are none', () => {
  const running = async (options) => {
    const session = new Played({ node: { runningReply: { id: 'r' }, queuedReplies: [] } })
    const chat = new Chat({ transport: new ParleyTransport({ session, ...options }) })
    const sent = chat.sendMessage({ text: 'Hello' })
    session.say(snapshot({ content: 'One' }))
    while (!texts(chat)[1]) await turn()
    return { session, chat, sent }
  }

  test('stop is stopReply, and the next message waits for it', async () => {
    const { session, chat } = await running()
    await chat.stop()
    assert.deepEqual([chat.status, texts(chat)[1]], ['ready', '|One'])
    const next = chat.sendMessage({ text: 'Next' })
    session.say(finished({}))
    await next
    assert.deepEqual(session.names().slice(0, 3), ['sendMessage', 'stopReply', 'sendMessage'])
  })

  test('a stop before the answer to the send stops what was sent', async () => {
    let answer
    const session = new Played({ sendMessage: new Promise((done) => (answer = done)) })
    const chat = new Chat({ transport: new ParleyTransport({ session }) })
    const sent = chat.sendMessage({ text: 'Hello' })
    await turn()
    await chat.stop()
    await sent
    await turn()
    assert.deepEqual(session.names(), ['sendMessage'])
    answer(new Played().answers.sendMessage)
    while (!session.names().includes('stopReply')) await turn()
    assert.deepEqual(session.calls[1], ['stopReply', { id: 'r' }])
  })

  test('leaving is no stop: dispose, an unmount, and a stream that is resumed anew', async () => {
    for (const leave of [
      ({ chat }) => chat.dispose(),
      ({ chat }) => (chat.stop(), chat.transport.close()),
      ({ chat, session }) => {
        void chat.resumeStream()
        session.say(finished({ content: 'One' }))
      },
    ]) {
      const held = await running()
      await leave(held)
      for (let turns = 0; turns < 5; turns++) await turn()
      assert.ok(!held.session.names().includes('stopReply'), leave)
    }
  })

  test('a stop of a stream that was resumed is one', async () => {
    const session = new Played({ node: { runningReply: { id: 'r' }, queuedReplies: [] } })
    const chat = new Chat({ transport: new ParleyTransport({ session, conversationId: 'c' }) })
    const resumed = chat.resumeStream()
    session.say(snapshot({ content: 'One' }))
    while (!texts(chat)[0]) await turn()
    await chat.stop()
    await resumed
    while (!session.names().includes('stopReply')) await turn()
  })
})

describe('requests', () => {
  test('nothing to resume is null', async () => {
    const session = new Played({ node: { runningReply: null, queuedReplies: [] } })
    assert.equal(await new ParleyTransport({ session }).reconnectToStream({}), null)
    assert.equal(await new ParleyTransport({ session, conversationId: 'c' }).reconnectToStream({}), null)
  })

  test('a reply that ended between load and resume is shown whole', async () => {
    const stored = (state) => ({ ...reply(state), citations: [], siblingCount: 2, siblingPosition: 2 })
    const nodes = [
      { ...stored({ id: 'u', content: 'Hi', status: 'COMPLETED' }), role: 'USER' },
      { ...stored({ content: 'On' }), role: 'ASSISTANT' },
    ]
    const session = new Played({ node: { messages: { nodes } } })
    const transport = new ParleyTransport({ session, conversationId: 'c' })
    const chat = new Chat({ transport, messages: await transport.load() })
    assert.deepEqual(texts(chat), ['Hi', 'On'])
    assert.equal(chat.messages[1].metadata.siblingCount, 2)
    const resumed = chat.resumeStream()
    await turn()
    assert.deepEqual(texts(chat), ['Hi', 'On'], 'it stays until there is more')
    session.say(finished({ content: 'One' }))
    await resumed
    assert.deepEqual(texts(chat), ['Hi', '|One'])
  })

  test('busy, stale and overloaded are errors with codes, and again is the same message', async () => {
    for (const [code, extensions] of [
      ['CONVERSATION_BUSY', { messageId: 'other' }],
      ['STALE_HEAD', { headId: 'h' }],
      ['QUEUE_FULL', {}],
    ]) {
      const session = new Played({ sendMessage: new Refused(code, code, extensions) })
      const chat = new Chat({ transport: new ParleyTransport({ session }) })
      await chat.sendMessage({ text: 'Hello' })
      assert.deepEqual([chat.status, chat.error.code], ['error', code])
      assert.match(chat.error.message, /^[A-Z].+\.$/)
      session.answers.sendMessage = new Played().answers.sendMessage
      session.say(finished({ content: 'Hi' }))
      await chat.regenerate()
      assert.deepEqual([chat.status, session.calls[1][0]], ['ready', 'sendMessage'])
      assert.equal(session.calls[1][1].clientKey, session.calls[0][1].clientKey)
    }
  })

  test('regenerate and edit name the messages of the server, and each has a key of its own', async () => {
    const session = new Played()
    const chat = new Chat({ transport: new ParleyTransport({ session, model: 'm' }) })
    const ask = async (request) => {
      session.say(finished({ content: 'Hi' }))
      await request
      return session.calls.findLast(([name]) => name !== 'node')
    }
    await ask(chat.sendMessage({ text: 'Hello' }))
    const [again, { clientKey: first, ...regenerated }] = await ask(chat.regenerate())
    assert.deepEqual([again, regenerated], ['regenerateReply', { messageId: 'u', model: 'm' }])
    const [, { clientKey: second, messageId }] = await ask(chat.regenerate({ messageId: 'r' }))
    assert.deepEqual([messageId, first === second], ['r', false])
    const message = { text: 'Hi there', messageId: chat.messages[0].id }
    const [edit, { clientKey, ...edited }] = await ask(chat.sendMessage(message, { body: { model: 'n' } }))
    assert.deepEqual([edit, edited], ['editMessage', { messageId: 'u', content: 'Hi there', model: 'n' }])
    assert.match(clientKey, /^[\w-]{8,128}$/)
    const [, next] = await ask(chat.sendMessage({ text: 'More' }))
    assert.deepEqual([next.expectedHeadId, next.conversationId], ['r', 'c'])
  })
})

describe('watch', () => {
  const nodes = (...contents) =>
    contents.map((content, i) => ({
      ...reply({ id: i % 2 ? 'r' : 'u', content, status: 'COMPLETED' }),
      role: i % 2 ? 'ASSISTANT' : 'USER',
      citations: [],
      siblingCount: 1,
      siblingPosition: 1,
    }))
  const lists = (session) => session.calls.filter(([, { last }]) => last).length
  const watched = (session) => {
    const transport = new ParleyTransport({ session, conversationId: 'c' })
    const chat = new Chat({ transport })
    chat.leave = transport.watch(chat)
    return chat
  }
  const doubt = { __typename: 'ConversationSnapshot' }

  test('an answer that this device has overtaken is not shown; its own reply is not read again', async () => {
    let answer
    const session = new Played({ node: new Promise((done) => (answer = done)) })
    const chat = watched(session)
    session.tell(doubt)
    while (!lists(session)) await turn()
    session.answers.node = { messages: { nodes: nodes('Hello', 'Hi') }, citations: [] }
    session.say(finished({ content: 'Hi' }))
    await chat.sendMessage({ text: 'Hello' })
    await turn()
    answer({ messages: { nodes: [] } })
    while (lists(session) < 2) {
      assert.deepEqual(texts(chat), ['Hello', '|Hi'])
      await turn()
    }
    await turn()
    assert.deepEqual(texts(chat), ['Hello', 'Hi'])
    const shown = [...chat.messages]
    session.tell(
      { __typename: 'MessageFinished', message: { id: 'r', status: 'COMPLETED' } },
      { __typename: 'ConversationUpdated', conversation: { headId: 'r' } },
      { __typename: 'MessageDelta' },
      { __typename: 'Unknown' },
    )
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.equal(lists(session), 2)
    session.tell(doubt)
    while (lists(session) < 3) await turn()
    await turn()
    assert.ok(
      chat.messages.every((message, i) => message === shown[i]),
      'what has not changed is the same object',
    )
    chat.leave()
  })

  test('what was stopped here is not resumed', async () => {
    let stopped
    const session = new Played({ stopReply: new Promise((done) => (stopped = done)) })
    const chat = watched(session)
    void chat.sendMessage({ text: 'Hello' })
    session.say(snapshot({ content: 'One' }))
    while (!texts(chat)[1]) await turn()
    await chat.stop()
    session.tell(doubt)
    while (!session.names().includes('stopReply')) await turn()
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.equal(lists(session), 0)
    session.answers.node = { messages: { nodes: nodes('Hello', 'One') } }
    stopped({ message: { id: 'r' } })
    while (!lists(session)) await turn()
    await turn()
    assert.deepEqual([chat.status, texts(chat)], ['ready', ['Hello', 'One']])
    chat.leave()
  })

  test('an edit that was not taken stays until it is', async () => {
    const session = new Played({ node: { messages: { nodes: nodes('Hello', 'Hi') }, citations: [] } })
    const chat = watched(session)
    session.tell(doubt)
    while (!texts(chat)[1]) await turn()
    session.answers.editMessage = new Refused('CONVERSATION_BUSY', 'Busy.')
    await chat.sendMessage({ text: 'Good day', messageId: 'u' })
    session.tell(doubt)
    for (let turns = 0; turns < 5; turns++) await turn()
    assert.deepEqual([chat.error.code, texts(chat), lists(session)], ['CONVERSATION_BUSY', ['Good day'], 1])
    session.answers = new Played({ node: { messages: { nodes: nodes('Good day', 'Hi') }, citations: [] } }).answers
    session.say(finished({ content: 'Hi' }))
    await chat.regenerate()
    while (lists(session) < 2) await turn()
    const edits = session.calls.filter(([name]) => name === 'editMessage')
    assert.deepEqual([edits.length, edits[0][1].clientKey], [2, edits[1][1].clientKey])
    chat.leave()
  })
})

test('the package is small without @parley/client', async () => {
  const size = gzipSync(await bundle(own, { external: ['@parley/client'], minify: true })).length
  assert.ok(size <= 4 * 1024, `${size} bytes`)
  const { peerDependencies } = JSON.parse(readFileSync(join(packages, 'ai-sdk/package.json'), 'utf8'))
  assert.deepEqual(Object.keys(peerDependencies), ['@parley/client', 'ai'])
  console.log(`# ${size} bytes gzip`)
})
