// The afternoon with the guide, for each family of clients: both feeds, a message
// that is shown before it is sent, lists whose order changes, the end of a token, a
// sign-out elsewhere, and a server that is killed.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Device, follows } from '../lib/branches.mjs'
import { data, Parley, password, until } from '../lib/parley.mjs'
import { beginning, device, middle, quiet, reply, startModel, Tabs } from './guide.mjs'

// scenarios runs them with drive(load), which gives the same two functions for every
// client: followList and followChat, both with what a page shows now.
// relay has them compiled, and retries says that a query whose answer is lost is repeated.
export function scenarios(name, drive, { relay = false, retries = false } = {}) {
  const said = quiet()
  const realFetch = globalThis.fetch

  // startServer starts a server with a model, closed with the test or the run.
  async function startServer(end, settings = {}) {
    const model = await startModel({ after: end })
    const parley = await Parley.start({
      OPENAI_BASE_URL: model.baseURL,
      PARLEY_SENDS_PER_MINUTE: '1000',
      ...settings,
    })
    end(() => parley.close())
    return { model, parley }
  }
  // Tests without settings share one.
  let shared
  const ends = []

  // begin signs a user up in one tab, and in on another device.
  async function begin(t, settings) {
    const closing = []
    t.after(async () => {
      globalThis.fetch = realFetch
      for (const close of closing) await close()
    })
    const { model, parley } = settings
      ? await startServer((end) => closing.push(end), settings)
      : await (shared ??= startServer((end) => ends.push(end)))
    const tabs = await Tabs.open(t, parley.url, { relay })
    const load = tabs.tab()
    const session = await load('session.js')
    const email = `${crypto.randomUUID()}@example.com`
    await session.signUp({ email, password, name: 'Ada' })
    const { socket } = await load('socket.js')
    closing.unshift(() => socket.dispose().catch(() => {})) // It was just connecting.
    const log = []
    socket.on('connecting', () => log.push('connecting'))
    socket.on('connected', () => log.push('connected'))
    socket.on('closed', ({ code }) => log.push(`closed ${code}`))
    const events = []
    socket.on('message', ({ payload }) => events.push(Object.values(payload?.data ?? {})[0]?.__typename))
    const errors = []
    const client = await drive(load, { after: (end) => closing.unshift(end) })
    return {
      model,
      parley,
      session,
      socket,
      log,
      events,
      errors,
      outbox: await load('outbox.js'),
      versions: await load('versions.js'),
      device: () => Device.signIn(parley.url, { email }),
      list: () => client.followList((error) => errors.push(error)),
      query: client.query,
      chat: (id) => client.followChat(id, (error) => errors.push(error)),
      elsewhere: device(parley.url, email, password),
    }
  }

  const lost = () => {
    throw new TypeError('lost')
  }
  const unavailable = () =>
    Response.json({ errors: [{ message: 'Starting.', extensions: { code: 'UNAVAILABLE' } }] }, { status: 503 })

  const sendElsewhere = (elsewhere, content, conversationId = null, wait = true) =>
    elsewhere(
      `mutation ($input: SendMessageInput!) {
        sendMessage(input: $input) { conversation { id } userMessage { id } reply { id content } }
      }`,
      { input: { content, conversationId, wait } },
    ).then(({ sendMessage }) => sendMessage)

  const texts = (messages) => messages.map(({ content }) => content)

  describe(name, () => {
    after(async () => {
      for (const end of ends) await end()
    })

    test('both feeds, and a message that is shown before the server has it', async (t) => {
      const { model, list, outbox, chat, elsewhere, errors } = await begin(t)
      const open = model.hold('Hello')
      const sidebar = await list()
      await until('the list is there', 10_000, () => sidebar.rows()?.length === 0)

      // The first answer is lost behind the server.
      let sends = 0
      globalThis.fetch = async (...args) => {
        const answer = await realFetch(...args)
        if (!String(args[1]?.body).includes('mutation ($input: SendMessageInput!)') || sends++) return answer
        throw new TypeError('the answer is lost')
      }
      let shows = 0
      const sending = outbox.send({ content: 'Hello' }, () => shows++)
      assert.deepEqual(texts(outbox.unsent(null, [])), ['Hello'], 'shown at once')
      const { conversation } = await sending
      assert.equal(sends, 2, 'sent twice')
      assert.ok(shows >= 2)

      const room = await chat(conversation.id)
      const seen = []
      const shown = () => {
        const messages = room.messages() ?? []
        return [...messages, ...outbox.unsent(conversation.id, messages)]
      }
      room.changed(() => seen.push(texts(shown())))
      await until('the reply has begun', 10_000, () => shown()[1]?.content === beginning)
      assert.deepEqual(texts(shown()), ['Hello', beginning])
      await until('the list says that it is written', 10_000, () => sidebar.rows()?.[0]?.runningReply)
      open()
      await until('the reply is whole', 10_000, () => shown()[1].status === 'COMPLETED')
      assert.deepEqual(texts(shown()), ['Hello', reply])
      await until('the list says that it has ended', 10_000, () => sidebar.rows()?.[0]?.runningReply === null)
      assert.equal(sidebar.rows()[0].name, 'Hello')

      // The same conversation, from here with the chat open, and from another device.
      const here = outbox.send({ content: 'Here', conversationId: conversation.id }, () => seen.push(texts(shown())))
      await here
      await until('the second reply', 10_000, () => shown().length === 4 && shown()[3].status === 'COMPLETED')
      await sendElsewhere(elsewhere, 'There', conversation.id)
      await until('the third reply', 10_000, () => shown().length === 6 && shown()[5].status === 'COMPLETED')
      assert.deepEqual(texts(shown()), ['Hello', reply, 'Here', reply, 'There', reply])
      for (const one of seen) {
        for (const question of ['Hello', 'Here', 'There']) {
          assert.ok(one.filter((text) => text === question).length <= 1, `twice at a time: ${one}`)
        }
        for (const [i, text] of one.entries()) if (i % 2) assert.ok(reply.startsWith(text), `no beginning: ${text}`)
      }
      assert.ok(seen.some((one) => one.at(-1) === 'Here'), 'shown before the reply was there')
      assert.deepEqual(errors, [])

      // What is refused stays, with its error, and can be sent again.
      const blank = { content: ' ', conversationId: conversation.id }
      await assert.rejects(
        outbox.send(blank, () => {}),
        { code: 'BAD_USER_INPUT' },
      )
      assert.equal(outbox.unsent(conversation.id, room.messages())[0].error.code, 'BAD_USER_INPUT')

      await elsewhere('mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { conversationId } }', {
        id: conversation.id,
      })
      await until('it has gone from the list', 10_000, () => sidebar.rows()?.length === 0)
    })

    test('versions that another device makes, and versions that are made here', async (t) => {
      const { chat, device, errors, versions } = await begin(t)
      const other = await device()
      const { conversation } = await other.ask('sendMessage', { content: 'One /slow 0' })
      const room = await chat(conversation.id)
      await until('the chat is there', 10_000, () => room.messages()?.length === 2)
      await follows(other, conversation.id, room.messages)

      // The same from here, with the functions of the page. The feed brings what comes of it.
      const whole = (what, ...places) =>
        until(what, 10_000, () => {
          const messages = room.messages()
          return (
            JSON.stringify(messages.map(versions.place)) === JSON.stringify(places) &&
            messages.every(({ status }) => status === 'COMPLETED')
          )
        })
      const at = (index) => room.messages()[index]
      const model = { conversationId: conversation.id, model: 'script' }
      await other.change('updateConversation', model)
      await versions.remove(at(4))
      await whole('two messages fewer', '', '', '', '')
      await versions.regenerate(at(3))
      await whole('a second reply', '', '', '', '‹ 2/2 ›')
      await versions.turn(at(3), -1)
      await whole('the first one again', '', '', '', '‹ 1/2 ›')
      await versions.turn(at(3), -1) // There is none before it.
      await versions.edit(at(2), 'Tides /tokens 20 /slow 0 /length')
      await whole('another question', '', '', '‹ 2/2 ›', '')
      const beginning = at(3).content
      await versions.resume(at(3))
      await whole('the reply goes on', '', '', '‹ 2/2 ›', '‹ 2/2 ›')
      assert.ok(at(3).content.startsWith(beginning) && at(3).content !== beginning, at(3).content)
      await versions.correct(at(3), 'Shorter.')
      await until('the text is corrected', 10_000, () => at(3).content === 'Shorter.')
      await versions.turn(at(2), -1)
      await whole('the first question, as it was left', '', '', '‹ 1/2 ›', '‹ 1/2 ›')
      assert.deepEqual(errors, [])
    })

    test('lists whose order changes while one pages', async (t) => {
      const { list, chat, query, elsewhere, device, session, errors } = await begin(t)
      const ids = []
      for (let i = 0; i < 60; i++) {
        const create = `mutation ($name: String!) {
          createConversation(input: { name: $name }) { conversation { id } }
        }`
        ids.push((await elsewhere(create, { name: `chat ${i}` })).createConversation.conversation.id)
      }
      const sidebar = await list()
      await until('the first page', 10_000, () => sidebar.rows()?.length === 50)

      // One that is not loaded yet and one that is move to the top.
      for (const i of [0, 30]) await sendElsewhere(elsewhere, 'up', ids[i])
      await until('both are at the top', 10_000, () => {
        const [first, second] = sidebar.rows()
        return first.id === ids[30] && second.id === ids[0]
      })
      // An access token that is refused is renewed on the way, by each kind of request.
      for (const ask of [sidebar.more, query].filter(Boolean)) {
        const { accessToken, ...rest } = session.session()
        localStorage.setItem('parley-session', JSON.stringify({ ...rest, accessToken: 'refused' }))
        // Before that nothing answers, and then a server that is not ready.
        const fails = retries ? [lost, unavailable] : []
        globalThis.fetch = async (...args) => (fails.shift() ?? realFetch)(...args)
        await ask()
        globalThis.fetch = realFetch
        assert.ok(!['refused', accessToken].includes(session.session().accessToken))
      }
      await sendElsewhere(elsewhere, 'up', ids[5])
      const order = async () =>
        (await elsewhere('{ conversations(first: 100) { nodes { id } } }')).conversations.nodes.map(({ id }) => id)
      const rows = () => (sidebar.rows() ?? []).map(({ id }) => id)
      const same = async (what) => {
        const want = await order()
        await until(what, 10_000, () => JSON.stringify(rows()) === JSON.stringify(want))
        return want
      }
      assert.equal((await same('all, each once, as the server has them')).length, 60)

      const update = `mutation ($id: ID!) {
        updateConversation(input: { conversationId: $id, archived: true }) { conversation { id } }
      }`
      await elsewhere(update, { id: ids[7] })
      const remove = 'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { conversationId } }'
      await elsewhere(remove, { id: ids[40] })
      assert.equal((await same('without what was archived and deleted')).length, 58)

      for (let i = 0; i < 30; i++) await sendElsewhere(elsewhere, `question ${i}`, ids[1])
      const room = await chat(ids[1])
      await until('the last page', 10_000, () => room.messages()?.length === 50)
      await room.earlier()
      await until('all messages', 10_000, () => room.messages().length === 60)
      const questions = texts(room.messages().filter(({ role }) => role === 'USER'))
      assert.deepEqual(questions, Array.from({ length: 30 }, (_, i) => `question ${i}`))

      // Another line, of which only the beginning was there, and the first one again.
      const [, , question] = room.messages()
      const other = await device()
      await other.ask('editMessage', { messageId: question.id, content: 'other /slow 0' })
      const shown = () => room.messages().map(({ id }) => id)
      const isLine = async (what) => {
        const line = JSON.stringify((await other.line(ids[1])).map(({ id }) => id))
        await until(what, 10_000, () => JSON.stringify(shown()) === line)
      }
      await isLine('four messages')
      assert.equal(shown().length, 4)
      await other.change('selectBranch', { messageId: question.id })
      await isLine('the last page of the first line')
      await room.earlier()
      await until('all messages again', 10_000, () => shown().length === 60)
      assert.deepEqual(errors, [])
    })

    test('the end of a token in the middle of a reply costs no wait', async (t) => {
      const { model, list, outbox, chat, log, socket, errors } = await begin(t, { PARLEY_ACCESS_TTL: '4s' })
      const open = model.hold('Long')
      const { conversation } = await outbox.send({ content: 'Long' }, () => {})
      const sidebar = await list()
      const room = await chat(conversation.id)
      await until('the reply has begun', 10_000, () => room.messages()?.[1]?.content === beginning)
      await until('the list', 10_000, () => sidebar.rows()?.length === 1)

      // Count what waits between the close and the next connection, and the refreshes.
      const waits = []
      const realTimeout = globalThis.setTimeout
      let refreshes = 0
      globalThis.fetch = (...args) => {
        if (String(args[1]?.body).includes('refreshSession')) refreshes++
        return realFetch(...args)
      }
      t.after(() => (globalThis.setTimeout = realTimeout))
      const closed = new Promise((resolve) => {
        const off = socket.on('closed', (event) => {
          off()
          globalThis.setTimeout = (work, delay, ...rest) => {
            if (delay >= 100 && /socket\.js|graphql-ws/.test(new Error().stack)) waits.push(delay)
            return realTimeout(work, delay, ...rest)
          }
          resolve(event)
        })
      })
      const again = new Promise((resolve) => {
        const off = socket.on('connecting', () => {
          off()
          globalThis.setTimeout = realTimeout
          resolve()
        })
      })
      const back = new Promise((resolve) => socket.on('connected', resolve))
      assert.equal((await closed).code, 4403)
      await again
      await back
      open()
      await until('the reply is whole', 10_000, () => room.messages()[1].status === 'COMPLETED')
      assert.equal(room.messages()[1].content, reply)
      assert.deepEqual(log.slice(0, 5), ['connecting', 'connected', 'closed 4403', 'connecting', 'connected'])
      assert.deepEqual(waits, [], 'nothing waited')
      assert.ok(refreshes >= 1)
      assert.deepEqual(errors, [])
    })

    test('a sign-out elsewhere ends the feeds, and nobody tries again', async (t) => {
      const { parley, list, session, log, errors } = await begin(t)
      const sidebar = await list()
      await until('the list is there', 10_000, () => sidebar.rows()?.length === 0)
      const users = []
      session.onUser((user) => users.push(user))

      await data(parley.url, 'mutation { signOut { signedOut } }', {}, session.session().accessToken)

      await until('the feed says so', 15_000, () => errors.length > 0)
      assert.ok(
        [errors[0], errors[0].cause, errors[0].networkError, ...(errors[0].graphQLErrors ?? [])].some(
          (error) => error instanceof session.SignedOut || error?.message === 'the session has ended',
        ),
        `${errors[0]?.stack ?? JSON.stringify(errors[0])}`,
      )
      assert.deepEqual(users, [undefined])
      assert.equal(session.session(), null)
      assert.deepEqual(log.filter((line) => line === 'connecting').length, 2, `once, and once to find out: ${log}`)
      await assert.rejects(session.request('{ models { name } }'), session.SignedOut)
    })

    test('a server that is killed in the middle of a reply', async (t) => {
      const { model, parley, list, outbox, chat, elsewhere, errors } = await begin(t, { PARLEY_LEASE: '3s' })
      const open = model.hold('Fall')
      const { conversation } = await outbox.send({ content: 'Fall' }, () => {})
      const sidebar = await list()
      const room = await chat(conversation.id)
      await until('the reply has begun', 10_000, () => room.messages()?.[1]?.content === beginning)
      await parley.kill()
      open()
      await parley.start()
      await sendElsewhere(elsewhere, 'Meanwhile', null, false)
      await until('the reply is whole', 20_000, () => room.messages()[1].status === 'COMPLETED')
      assert.equal(room.messages()[1].content, reply)
      await until('the list has what came meanwhile', 10_000, () => sidebar.rows()?.length === 2)
      assert.deepEqual(errors, [])
    })

    test('a text with a hole is fetched again', async (t) => {
      const { model, outbox, chat, events, errors } = await begin(t)
      const open = model.hold('Hole', 2)
      const { conversation } = await outbox.send({ content: 'Hole' }, () => {})
      const room = await chat(conversation.id)
      await until('the reply has begun', 10_000, () => room.messages()?.[1]?.content === beginning)
      await until('its events come', 10_000, () => events.includes('MessageSnapshot'))
      room.spoil(room.messages()[1].id)
      assert.equal(room.messages()[1].content, '', 'spoilt')
      open()
      await until('the text is right again', 10_000, () => room.messages()[1].content === middle)
      assert.equal(room.messages()[1].status, 'STREAMING', 'before the end could mend it')
      open()
      await until('the reply is whole', 10_000, () => room.messages()[1].status === 'COMPLETED')
      assert.equal(room.messages()[1].content, reply)
      assert.deepEqual(errors, [])
    })

    test('the development build has nothing to say', () => assert.deepEqual(said, []))
  })
}

// reducing gives what scenarios wants where the page itself holds what it shows: with
// the follow of a file. more adds to it.
export function reducing(file, more = () => ({})) {
  return async (load, t) => {
    const { follow } = await load(file)
    const { openChat, openList } = await load('chat.js')
    return {
      ...(await more(load)),
      followList(onError) {
        let held
        const { stop, more } = openList(follow, (now) => (held = now), onError)
        t.after(stop)
        return { rows: () => held?.conversations, more }
      },
      followChat(id, onError) {
        let held
        const listeners = []
        const show = (now) => {
          held = now
          for (const listener of listeners) listener()
        }
        const { stop, earlier } = openChat(follow, id, show, onError)
        t.after(stop)
        return {
          messages: () => held?.messages,
          changed: (listener) => listeners.push(listener),
          earlier,
          spoil: (id) => (held.messages.find((message) => message.id === id).content = ''),
        }
      },
    }
  }
}
