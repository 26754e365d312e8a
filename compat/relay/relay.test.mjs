// Relay as its documentation sets it up: relay-compiler on the printed schema, a
// network of fetch and graphql-ws, the store changed by events. The built-in model
// says a word each 200 ms.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { createClient } from 'graphql-ws'
import relay from 'relay-runtime'
import WebSocket from 'ws'
import {
  data,
  finalMessage,
  Parley,
  Queries,
  readMessage,
  refreshDocument,
  serverURL,
  signUp,
  Watch,
} from '../lib/parley.mjs'
import { compile } from './compile.mjs'

const {
  commitMutation,
  createOperationDescriptor,
  Environment,
  fetchQuery,
  Network,
  Observable,
  RecordSource,
  requestSubscription,
  Store,
} = relay
const url = serverURL()

// The built-in model repeats most of this: a reply of about 25 words, 5 seconds.
const long = 'If the river had no water and the sea had no salt and nobody had a boat'
// And this one takes 8 seconds.
const longer = `I need ${Array.from({ length: 32 }, (_, i) => `thing${i}`).join(' ')}`

// The operations of src/documents.js, by the second half of their names.
let documents
before(async () => {
  documents = await compile('documents')
})

// newUser signs a user up, one after the other: a server hashes few passwords at once.
let queue = Promise.resolve()
const newUser = (base) => (queue = queue.catch(() => {}).then(() => signUp(base)))

// Session keeps the tokens of a user, as an application would.
class Session {
  refreshes = 0

  constructor(base, user) {
    Object.assign(this, { base, user, token: user.token, refreshToken: user.refreshToken, expiresAt: user.expiresAt })
  }

  // good is the token, a fresh one where the last has ended.
  async good() {
    if (Date.parse(this.expiresAt) - Date.now() < 500) {
      const { refreshSession: next } = await data(this.base, refreshDocument, {
        input: { refreshToken: this.refreshToken },
      })
      Object.assign(this, { token: next.accessToken, refreshToken: next.refreshToken, expiresAt: next.expiresAt })
      this.refreshes++
    }
    return this.token
  }
}

// connect makes an environment as the guides to Network.create and to subscriptions do.
function connect(session, t) {
  const socket = createClient({
    url: `${session.base.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket, // Node 20 has none of its own.
    connectionParams: async () => ({ Authorization: `Bearer ${await session.good()}` }),
    shouldRetry: () => true,
  })
  t.after(() => socket.dispose())
  const fetchFunction = async (operation, variables) => {
    const response = await fetch(`${session.base}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${await session.good()}` },
      body: JSON.stringify({ query: operation.text, variables }),
    })
    return response.json()
  }
  const subscribe = (operation, variables) =>
    Observable.create((sink) =>
      socket.subscribe({ operationName: operation.name, query: operation.text, variables }, sink),
    )
  return new Environment({ network: Network.create(fetchFunction, subscribe), store: new Store(new RecordSource()) })
}

// follower makes requestSubscription look as Watch wants it.
const follower = (environment) => ({
  subscribe: ({ variables }, sink) =>
    requestSubscription(environment, {
      subscription: documents.WatchSubscription,
      variables,
      onNext: (data) => sink.next({ data }),
      onError: sink.error,
      onCompleted: sink.complete,
    }).dispose,
})

const commit = (environment, mutation, input) =>
  new Promise((onCompleted, onError) =>
    commitMutation(environment, { mutation, variables: { input }, onCompleted, onError }),
  )
const send = async (environment, content) =>
  (await commit(environment, documents.SendMutation, { content })).sendMessage.reply
const query = (environment, document, variables) => fetchQuery(environment, document, variables).toPromise()

// Relay gives the errors of an answer in source, and those of a request as they came.
const codeOf = (error) => (error.source?.errors ?? error)[0].extensions.code

// show collects what a component that renders the message would show, and keeps it
// in the store as that would.
function show(environment, id, t) {
  const operation = createOperationDescriptor(documents.MessageQuery, { id })
  const snapshot = environment.lookup(operation.fragment)
  const shown = [snapshot.data.node.content]
  const subscription = environment.subscribe(snapshot, ({ data }) => shown.push(data.node.content))
  const retained = environment.retain(operation)
  t.after(() => (subscription.dispose(), retained.dispose()))
  return shown
}

describe('Relay with graphql-ws', { concurrency: true }, () => {
  const setup = async (t, parley) => {
    const base = parley?.url ?? url
    const session = new Session(base, await newUser(base))
    return { session, environment: connect(session, t) }
  }

  test('a query, a mutation and a whole reply, word by word', async (t) => {
    const { environment, session } = await setup(t)

    assert.equal((await query(environment, documents.ViewerQuery, {})).viewer.id, session.user.user.id)
    const reply = await send(environment, long)
    assert.equal(reply.status, 'STREAMING')
    const watch = await new Watch(follower(environment), reply.id).done

    const stored = await readMessage(url, session.token, reply.id)
    assert.equal(stored.status, 'COMPLETED')
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
    assert.equal(watch.content, stored.content)
    assert.equal(watch.count('MessageSnapshot'), 1)
    assert.ok(watch.count('MessageDelta') >= 10, `want many deltas, got ${watch.types()}`)
  })

  test('errors have a code, in an answer and in a stream', async (t) => {
    const { environment, session } = await setup(t)
    const id = session.user.user.id // No message.

    await assert.rejects(
      commit(environment, documents.StopMutation, { messageId: id }),
      (error) => codeOf(error) === 'NOT_FOUND',
    )
    await assert.rejects(new Watch(follower(environment), id).done, (error) => codeOf(error) === 'NOT_FOUND')
  })

  test('stopReply ends the stream with the text so far', async (t) => {
    const { environment, session } = await setup(t)
    const reply = await send(environment, long)
    const watch = new Watch(follower(environment), reply.id)
    await watch.when((w) => w.count('MessageDelta') === 3)

    await commit(environment, documents.StopMutation, { messageId: reply.id })
    await watch.done

    const stored = await readMessage(url, session.token, reply.id)
    assert.equal(stored.status, 'STOPPED')
    assert.equal(watch.events.at(-1).message.status, 'STOPPED')
    assert.equal(watch.content, stored.content)
    assert.ok(stored.content.startsWith(watch.partial) && watch.partial !== '')
  })

  test('a cursor resumes without a snapshot', async (t) => {
    const { environment, session } = await setup(t)
    const reply = await send(environment, long)
    const first = new Watch(follower(environment), reply.id)
    await first.when((w) => w.count('MessageDelta') === 4)
    first.stop()

    const second = await new Watch(follower(environment), reply.id, { from: first }).done

    assert.equal(second.count('MessageSnapshot'), 0)
    assert.equal(second.partial, (await readMessage(url, session.token, reply.id)).content)
  })

  for (const [what, name] of [
    ['follows by itself', 'SimpleSubscription'],
    ['takes deltas by an updater', 'WatchSubscription'],
  ]) {
    test(`the store ${what}, and a query in between does it no harm`, async (t) => {
      const { environment, session } = await setup(t)
      const reply = await send(environment, long)
      await query(environment, documents.MessageQuery, { id: reply.id })
      const shown = show(environment, reply.id, t)
      let count = 0
      const queries = new Queries()
      const ask = () => query(environment, documents.MessageQuery, { id: reply.id })
      await new Promise((onCompleted, onError) =>
        requestSubscription(environment, {
          subscription: documents[name],
          variables: { id: reply.id },
          updater: (store) => {
            const event = store.getRootField('messageEvents')
            if (name !== 'WatchSubscription' || event.getType() !== 'MessageDelta') return
            const message = store.get(reply.id)
            const [text, offset] = [message.getValue('content'), event.getValue('offset')]
            // An answer that events have overtaken leaves a shorter text, and a hole: the
            // rule asks for a new subscription then. Here MessageFinished mends it.
            if (text.length >= offset) message.setValue(text.slice(0, offset) + event.getValue('text'), 'content')
          },
          onNext: () => ++count % 4 === 0 && queries.push(ask()),
          onCompleted,
          onError,
        }),
      )
      await queries.settled(ask)

      const stored = await readMessage(url, session.token, reply.id)
      assert.equal(shown.at(-1), stored.content)
      assert.ok(queries.length >= 2 && shown.length >= 10, `queries ${queries.length}, shown ${shown.length}`)
      for (const text of shown) assert.ok(stored.content.startsWith(text), `shown ${JSON.stringify(text)}`)
    })
  }

  test('the server is killed in the middle and comes back', async (t) => {
    const parley = await Parley.start({ PARLEY_LEASE: '5s' })
    t.after(() => parley.close())
    const { environment, session } = await setup(t, parley)
    const reply = await send(environment, long)
    const watch = new Watch(follower(environment), reply.id)
    await watch.when((w) => w.count('MessageDelta') === 3)

    await parley.kill()
    await parley.start()
    await watch.done

    const stored = await finalMessage(parley.url, await session.good(), reply.id)
    assert.ok(stored.status === 'COMPLETED' && stored.attempt >= 2, `${JSON.stringify(stored)}\n${parley.log}`)
    assert.equal(watch.content, stored.content)
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
  })

  test('the access token ends in the middle', async (t) => {
    const parley = await Parley.start({ PARLEY_ACCESS_TTL: '5s' })
    t.after(() => parley.close())
    const { environment, session } = await setup(t, parley)
    const reply = await send(environment, longer)

    const watch = await new Watch(follower(environment), reply.id).done

    assert.ok(session.refreshes >= 1, 'a fresh token')
    const stored = await readMessage(parley.url, await session.good(), reply.id)
    assert.deepEqual([stored.status, stored.attempt], ['COMPLETED', 1])
    assert.equal(watch.content, stored.content)
    assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
    assert.equal((await query(environment, documents.ViewerQuery, {})).viewer.id, session.user.user.id)
  })
})
