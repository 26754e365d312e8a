// follow() and open() over connections that break everywhere, servers that restart and replies that begin anew.
import assert from 'node:assert/strict'
import { before, after, test } from 'node:test'
import { serveModel } from '../lib/model.mjs'
import { data, Parley, readMessage, signUp, until } from '../lib/parley.mjs'
import { client, cutFetch, cutSocket, enter, grows, states, transports } from './client.mjs'

const { follow, open, send } = client
const script = (content) => ({ content, model: 'script' })

let parley
before(async () => {
  parley = await Parley.start({ PARLEY_SCRIPT: 'on', PARLEY_SOCKETS_PER_USER: '100' })
})
after(() => parley.close())

// cuts are connections that break at each of the first frames, with the frame and without.
const cuts = (name) =>
  Array.from({ length: 32 }, (_, i) => [1 + (i >> 1), i % 2 === 1]).map((place) =>
    name === 'WebSocket'
      ? { place, options: { webSocket: cutSocket(...place) } }
      : { place, options: { webSocket: null, fetch: cutFetch(...place) } },
  )

for (const name of Object.keys(transports)) {
  test(`${name}: a reply whose connection is cut at every frame`, async () => {
    const tokens = await signUp(parley.url)
    const sender = await enter(parley.url, {}, tokens)
    const sent = await send(sender, script('Tell me of tides 🎉 /think 5 /tokens 30 /slow 30'))
    assert.equal(sent.kind, 'sent')

    const runs = cuts(name).map(async ({ options, place }) => {
      const session = await enter(parley.url, options, tokens)
      const all = await states(follow(session, sent.reply.id))
      session.close()
      return { all, place }
    })

    const ends = await Promise.all(runs)
    const stored = await readMessage(parley.url, tokens.accessToken, sent.reply.id)
    for (const { all, place } of ends) {
      assert.equal(all.at(-1).content, stored.content, `${place}`)
      assert.equal(all.at(-1).status, 'COMPLETED')
      assert.deepEqual(
        all.map(({ final }) => final),
        all.map((_, i) => i === all.length - 1),
      )
    }
    assert.ok(Math.max(...ends.map(({ all }) => all.length)) > 10, 'there was nothing to cut')
  })

  test(`${name}: a conversation whose connection is cut at every frame`, async () => {
    const tokens = await signUp(parley.url)
    const user = await enter(parley.url, {}, tokens)
    const { conversationId, reply } = await send(user, script('First /tokens 5'))
    await states(follow(user, reply.id))

    let opened = 0
    let begin
    const everybody = new Promise((resolve) => (begin = resolve))
    const all = cuts(name)
    const runs = all.map(async ({ options, place }) => {
      const session = await enter(parley.url, options, tokens)
      let last
      for await (const shown of open(session, conversationId, { last: 4 })) {
        if (!last && ++opened === all.length) begin()
        for (const held of last?.messages ?? []) {
          const now = shown.messages.find(({ id }) => id === held.id)
          if (now) grows(held, now)
        }
        last = shown
        if (shown.messages.some(({ content, status }) => content.startsWith('Third') && status === 'COMPLETED')) {
          if (shown.messages.at(-1).status === 'COMPLETED') break
        }
      }
      session.close()
      return { last, place }
    })
    await everybody
    const second = await send(user, { ...script('Second /tokens 20 /slow 20'), conversationId })
    await states(follow(user, second.reply.id))
    const edit = `mutation ($input: EditMessageInput!) { editMessage(input: $input) { reply { id } } }`
    const input = { messageId: second.userMessageId, content: 'Third /tokens 20 /slow 20' }
    await user.run(edit, { input })

    const query = `query ($id: ID!) { conversation(id: $id) { headId messages(last: 4) { nodes { id content } } } }`
    for (const { last, place } of await Promise.all(runs)) {
      const { conversation } = await data(parley.url, query, { id: conversationId }, tokens.accessToken)
      const ids = conversation.messages.nodes.map(({ id }) => id)
      assert.deepEqual(last.messages.map(({ id }) => id).slice(-ids.length), ids, `${place}`)
      assert.equal(last.messages.at(-1).content, conversation.messages.nodes.at(-1).content)
      assert.equal(last.messages.at(-2).siblingCount, 2)
      assert.equal(last.headId, conversation.headId)
      assert.equal(last.runningReplyId, null)
    }
  })

  test(`${name}: return() ends what waits, at once`, { timeout: 30_000 }, async () => {
    const tokens = await signUp(parley.url)
    const session = await enter(parley.url, transports[name], tokens)
    const away = await enter('http://127.0.0.1:1', transports[name], tokens)
    const { conversationId, reply } = await send(session, script('Long /tokens 2 /slow 60000'))
    const feeds = (session) => [
      session.subscribe('subscription { viewerEvents { __typename } }'),
      follow(session, reply.id),
      open(session, conversationId),
    ]
    const here = feeds(session)
    for (const feed of here) assert.equal((await feed.next()).done, false)
    const left = []
    for (const feed of [...here, ...feeds(away)]) {
      // What is there already is taken; then nothing comes.
      const waits = (async () => {
        while (!(await feed.next()).done);
        return 'ended'
      })()
      await new Promise((resolve) => setImmediate(resolve))
      left.push(Promise.all([feed.return(), waits]))
    }
    for (const [end, waited] of await Promise.all(left)) {
      assert.deepEqual([end, waited], [{ value: undefined, done: true }, 'ended'])
    }
    await until('the lines are idle', 0, () => [session, away].every(({ line }) => line.state === 'idle'))
    assert.deepEqual(await follow(session, reply.id).return(), { value: undefined, done: true })
    session.close()
    away.close()
  })

  test(`${name}: the end of a conversation, and of a message in it`, async () => {
    const session = await enter(parley.url, transports[name])
    const { conversationId, userMessageId, reply } = await send(session, script('Once /tokens 3'))
    await states(follow(session, reply.id))
    const seen = []
    for await (const { messages, hasOlder } of open(session, conversationId, { last: 1 })) {
      seen.push([messages.map(({ id }) => id), hasOlder])
      const drop = (name, type, input) =>
        session.run(`mutation ($input: ${type}!) { ${name}(input: $input) { __typename } }`, { input })
      if (seen.length === 1) await drop('deleteMessage', 'DeleteMessageInput', { messageId: reply.id })
      if (seen.at(-1)[0][0] === userMessageId)
        await drop('deleteConversation', 'DeleteConversationInput', { conversationId })
    }
    assert.deepEqual(seen[0], [[reply.id], true])
    assert.equal(seen.at(-1)[0][0], userMessageId)
    await assert.rejects(states(open(session, conversationId)), { code: 'NOT_FOUND' })
    await assert.rejects(states(follow(session, reply.id)), { code: 'NOT_FOUND' })
    session.close()
  })

  test(`${name}: a server that is killed in the middle of a reply`, async (t) => {
    let release
    let asked = 0
    const model = await serveModel(t, async ({ say, closed }) => {
      asked++
      say(`attempt ${asked} begins`)
      await Promise.race([closed, new Promise((resolve) => (release = resolve))])
      say(' and ends')
    })
    const own = await Parley.start({ OPENAI_BASE_URL: model })
    t.after(() => own.close())
    const session = await enter(own.url, transports[name])
    const { conversationId, reply } = await send(session, { content: 'Go' })
    const lines = []
    session.onChange(() => lines.at(-1) !== session.line.state && lines.push(session.line.state))
    let opened
    let changed = () => {}
    const talk = (async () => {
      for await (opened of open(session, conversationId)) {
        changed()
        if (opened.messages.at(-1).status === 'COMPLETED') return
      }
    })()
    let followed
    const texts = states(follow(session, reply.id), (before, after) => {
      grows(before, after)
      followed = after
      changed()
    })
    const shown = (text) =>
      new Promise((resolve) => {
        changed = () => followed?.content === text && opened?.messages.at(-1)?.content === text && resolve()
        changed()
      })
    await shown('attempt 1 begins')
    await own.kill()
    await own.start()
    await shown('attempt 2 begins')
    release()

    const all = await texts
    await talk
    assert.equal(all.at(-1).content, 'attempt 2 begins and ends')
    assert.deepEqual([...new Set(all.map(({ attempt }) => attempt))].at(-1), all.at(-1).attempt)
    assert.ok(all.some(({ content }) => content === 'attempt 1 begins'))
    assert.equal(opened.messages.at(-1).content, 'attempt 2 begins and ends')
    await until('the line rests', 0, () => session.line.state === 'idle')
    assert.ok(lines.includes('waiting') && lines.includes('live'), `${lines}`)
    session.close()
  })
}
