// urql 6 as its documentation sets it up: fetchExchange with subscriptionExchange
// and graphql-ws, and fetchExchange alone with fetchSubscriptions, which follows
// subscriptions as Server-Sent Events; authExchange for tokens; Graphcache with the
// schema. The built-in model says a word each 200 ms.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { createClient, fetchExchange, gql, subscriptionExchange } from '@urql/core'
import { authExchange } from '@urql/exchange-auth'
import { cacheExchange } from '@urql/exchange-graphcache'
import { getIntrospectionQuery } from 'graphql'
import { createClient as createSocket } from 'graphql-ws'
import { onEnd, pipe, subscribe } from 'wonka'
import WebSocket from 'ws'
import {
  data,
  finalMessage,
  Parley,
  Queries,
  readMessage,
  refreshDocument,
  sendDocument,
  serverURL,
  signUp,
  Watch,
} from '../lib/parley.mjs'

const url = serverURL()

// The built-in model repeats most of this: a reply of about 25 words, 5 seconds.
const long = 'If the river had no water and the sea had no salt and nobody had a boat'
// And this one takes 8 seconds.
const longer = `I need ${Array.from({ length: 32 }, (_, i) => `thing${i}`).join(' ')}`

let schema
before(async () => {
  schema = await data(url, getIntrospectionQuery())
})

// join signs a user up, one after the other: a server hashes few passwords at once.
let queue = Promise.resolve()
const join = (base) => (queue = queue.catch(() => {}).then(() => signUp(base)))

// Session keeps the tokens of a user, as an application would.
class Session {
  refreshes = 0

  constructor(base, user) {
    Object.assign(this, { base, user, token: user.token, refreshToken: user.refreshToken, expiresAt: user.expiresAt })
  }

  keep(payload) {
    Object.assign(this, {
      token: payload.accessToken,
      refreshToken: payload.refreshToken,
      expiresAt: payload.expiresAt,
    })
    this.refreshes++
  }

  // good is the token, a fresh one where the last has ended.
  async good() {
    if (Date.parse(this.expiresAt) - Date.now() < 500) {
      this.keep((await data(this.base, refreshDocument, { input: { refreshToken: this.refreshToken } })).refreshSession)
    }
    return this.token
  }
}

const auth = (session) =>
  authExchange(async (utils) => ({
    addAuthToOperation: (operation) => utils.appendHeaders(operation, { Authorization: `Bearer ${session.token}` }),
    didAuthError: (error) => error.graphQLErrors.some((e) => e.extensions?.code === 'UNAUTHENTICATED'),
    async refreshAuth() {
      const result = await utils.mutate(gql(refreshDocument), { input: { refreshToken: session.refreshToken } })
      if (result.data) session.keep(result.data.refreshSession)
    },
  }))

const content = gql`
  fragment Content on Message {
    id
    status
    content
  }
`

// graphcache keeps messages by id; events have none, and put their text into them.
const graphcache = () =>
  cacheExchange({
    schema,
    keys: Object.fromEntries(
      ['MessageSnapshot', 'MessageDelta', 'MessageReasoningDelta', 'MessageFinished'].map((name) => [name, () => null]),
    ),
    updates: {
      Subscription: {
        messageEvents({ messageEvents: event }, { messageId: id }, cache) {
          if (event.__typename !== 'MessageDelta' || event.text === undefined) return
          const text = cache.readFragment(content, { id })?.content
          if (text === undefined) return
          // An answer that events have overtaken leaves a shorter text, and a hole: the
          // rule asks for a new subscription then. Here MessageFinished mends it.
          if (text.length < event.offset) return
          cache.writeFragment(
            gql`
              fragment Text on Message {
                id
                content
              }
            `,
            { id, content: text.slice(0, event.offset) + event.text },
          )
        },
      },
    },
  })

const setups = {
  'subscriptionExchange with graphql-ws': (session, t, first = []) => {
    const socket = createSocket({
      url: `${session.base.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket, // Node 20 has none of its own.
      connectionParams: async () => ({ Authorization: `Bearer ${await session.good()}` }),
      shouldRetry: () => true,
    })
    t.after(() => socket.dispose())
    return createClient({
      url: `${session.base}/graphql`,
      exchanges: [
        ...first,
        auth(session),
        fetchExchange,
        subscriptionExchange({
          forwardSubscription(request) {
            const input = { ...request, query: request.query || '' }
            return { subscribe: (sink) => ({ unsubscribe: socket.subscribe(input, sink) }) }
          },
        }),
      ],
    })
  },
  fetchSubscriptions: (session, t, first = []) =>
    createClient({
      url: `${session.base}/graphql`,
      fetchSubscriptions: true,
      exchanges: [...first, auth(session), fetchExchange],
    }),
}

// follower makes client.subscription look as Watch wants it. urql reports errors in
// result.error, and gives the last result once more when the stream has ended.
const follower = (client) => ({
  subscribe(request, sink) {
    let last
    const take = ({ data, error }) => {
      if (error) return sink.error(error)
      if (JSON.stringify(data) === last) return
      last = JSON.stringify(data)
      sink.next({ data })
    }
    return pipe(client.subscription(gql(request.query), request.variables), onEnd(sink.complete), subscribe(take))
      .unsubscribe
  },
})

const viewer = gql`
  query {
    viewer {
      id
      email
    }
  }
`
const message = gql`
  query ($id: ID!) {
    node(id: $id) {
      id
      ...Content
    }
  }
  ${content}
`
const stop = gql`
  mutation ($input: StopReplyInput!) {
    stopReply(input: $input) {
      message {
        id
        status
        content
      }
    }
  }
`

const codeOf = (error) =>
  error.graphQLErrors?.[0]?.extensions.code ?? assert.fail(`want errors of GraphQL, got ${error}`)

async function ok(result) {
  const { data, error } = await result
  assert.equal(error, undefined)
  return data
}

const send = async (client, text) =>
  (await ok(client.mutation(gql(sendDocument), { input: { content: text } }))).sendMessage.reply

const deferred = () => {
  const d = {}
  d.promise = new Promise((resolve) => (d.resolve = resolve))
  return d
}

// lasting follows a reply to its end by the documented rule: a subscription that
// ends without MessageFinished was cut off, so subscribe again.
async function lasting(client, id, { cutOff = () => {}, begun = () => {} } = {}) {
  for (let cuts = 0; ; cuts++) {
    const watch = new Watch(follower(client), id)
    watch.when((w) => w.count('MessageDelta') === 3).then(begun, () => {})
    await watch.done.catch((error) => assert.ok(error.networkError, `${error.stack}`))
    if (watch.types().at(-1) === 'MessageFinished') return { watch, cuts }
    assert.ok(cuts < 5, 'cut off again and again')
    await cutOff(watch)
  }
}

for (const [name, connect] of Object.entries(setups)) {
  describe(name, { concurrency: true }, () => {
    const setup = async (t, { parley, cache = [] } = {}) => {
      const base = parley?.url ?? url
      const session = new Session(base, await join(base))
      return { session, client: connect(session, t, cache) }
    }

    test('a query, a mutation and a whole reply, word by word', async (t) => {
      const { client, session } = await setup(t)

      assert.equal((await ok(client.query(viewer, {}))).viewer.id, session.user.user.id)
      const reply = await send(client, long)
      assert.equal(reply.status, 'STREAMING')
      const watch = await new Watch(follower(client), reply.id).done

      const stored = await readMessage(url, session.token, reply.id)
      assert.equal(stored.status, 'COMPLETED')
      assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
      assert.equal(watch.content, stored.content)
      assert.equal(watch.count('MessageSnapshot'), 1)
      assert.ok(watch.count('MessageDelta') >= 10, `want many deltas, got ${watch.types()}`)
    })

    test('errors have a code, in an answer and in a stream', async (t) => {
      const { client, session } = await setup(t)
      const id = session.user.user.id // No message.

      assert.equal(codeOf((await client.mutation(stop, { input: { messageId: id } })).error), 'NOT_FOUND')
      await assert.rejects(new Watch(follower(client), id).done, (error) => codeOf(error) === 'NOT_FOUND')
      const invalid = new Watch(
        {
          subscribe: (request, sink) =>
            follower(client).subscribe({ ...request, query: 'subscription { nothing }', variables: {} }, sink),
        },
        id,
      )
      await assert.rejects(invalid.done, (error) => codeOf(error) === 'GRAPHQL_VALIDATION_FAILED')
    })

    test('stopReply ends the stream with the text so far', async (t) => {
      const { client, session } = await setup(t)
      const reply = await send(client, long)
      const watch = new Watch(follower(client), reply.id)
      await watch.when((w) => w.count('MessageDelta') === 3)

      await ok(client.mutation(stop, { input: { messageId: reply.id } }))
      await watch.done

      const stored = await readMessage(url, session.token, reply.id)
      assert.equal(stored.status, 'STOPPED')
      assert.equal(watch.events.at(-1).message.status, 'STOPPED')
      assert.equal(watch.content, stored.content)
      assert.ok(stored.content.startsWith(watch.partial) && watch.partial !== '')
    })

    test('a cursor resumes without a snapshot', async (t) => {
      const { client, session } = await setup(t)
      const reply = await send(client, long)
      const first = new Watch(follower(client), reply.id)
      await first.when((w) => w.count('MessageDelta') === 4)
      first.stop()

      const second = await new Watch(follower(client), reply.id, { from: first }).done

      assert.equal(second.count('MessageSnapshot'), 0)
      assert.equal(second.partial, (await readMessage(url, session.token, reply.id)).content)
    })

    for (const [what, selection] of Object.entries({
      'Graphcache follows by itself': '{ message { id status content } }',
      'Graphcache takes deltas by an update': `{ __typename ... on MessageSnapshot { message { id status content } }
        ... on MessageDelta { offset text } ... on MessageFinished { message { id status content } } }`,
    })) {
      test(`${what}, and a query in between does it no harm`, async (t) => {
        const { client, session } = await setup(t, { cache: [graphcache()] })
        const reply = await send(client, long)
        const shown = []
        const { unsubscribe } = pipe(
          client.query(message, { id: reply.id }),
          subscribe(({ data }) => data && shown.push(data.node.content)),
        )
        t.after(unsubscribe)

        const events = client.subscription(
          gql(`subscription ($id: ID!) { messageEvents(messageId: $id) ${selection} }`),
          { id: reply.id },
        )
        let count = 0
        const queries = new Queries()
        const ask = () => ok(client.query(message, { id: reply.id }, { requestPolicy: 'network-only' }))
        await new Promise((resolve, reject) =>
          pipe(
            events,
            onEnd(resolve),
            subscribe(({ error }) => {
              if (error) return reject(error)
              if (++count % 4 === 0) queries.push(ask())
            }),
          ),
        )
        await queries.settled(ask)

        const stored = await readMessage(url, session.token, reply.id)
        const { node } = await ok(client.query(message, { id: reply.id }, { requestPolicy: 'cache-only' }))
        assert.deepEqual([node.status, node.content], ['COMPLETED', stored.content])
        assert.equal(shown.at(-1), stored.content)
        assert.ok(queries.length >= 2 && shown.length >= 10, `queries ${queries.length}, shown ${shown.length}`)
        for (const text of shown) assert.ok(stored.content.startsWith(text), `shown ${JSON.stringify(text)}`)
      })
    }

    test('the server is killed in the middle and comes back', async (t) => {
      const parley = await Parley.start({ PARLEY_LEASE: '5s' })
      t.after(() => parley.close())
      const { client, session } = await setup(t, { parley })
      const reply = await send(client, long)
      const started = deferred()
      const back = deferred()
      const watching = lasting(client, reply.id, { cutOff: () => back.promise, begun: started.resolve })
      await started.promise
      await parley.kill()
      await parley.start()
      back.resolve()
      const { watch, cuts } = await watching

      const stored = await finalMessage(parley.url, await session.good(), reply.id)
      assert.ok(stored.status === 'COMPLETED' && stored.attempt >= 2, `${JSON.stringify(stored)}\n${parley.log}`)
      assert.equal(watch.content, stored.content)
      assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
      assert.equal(cuts > 0, name === 'fetchSubscriptions', 'who reconnects by itself')
    })

    test('the access token ends in the middle', async (t) => {
      const parley = await Parley.start({ PARLEY_ACCESS_TTL: '5s' })
      t.after(() => parley.close())
      const { client, session } = await setup(t, { parley })
      const reply = await send(client, longer)
      const { watch, cuts } = await lasting(client, reply.id)

      // fetchSubscriptions asks for a fresh one when the old is refused, two minutes later.
      assert.ok(session.refreshes >= 1 || name === 'fetchSubscriptions', 'a fresh token')
      assert.equal(cuts, name === 'fetchSubscriptions' ? 1 : 0, 'who reconnects by itself')
      const stored = await readMessage(parley.url, await session.good(), reply.id)
      assert.deepEqual([stored.status, stored.attempt], ['COMPLETED', 1])
      assert.equal(watch.content, stored.content)
      assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
      assert.equal((await ok(client.query(viewer, {}))).viewer.id, session.user.user.id)
    })
  })
}
