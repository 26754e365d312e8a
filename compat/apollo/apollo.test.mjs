// Apollo Client 4 as its documentation sets it up: HttpLink alone, which follows
// subscriptions as multipart/mixed, and ApolloLink.split with GraphQLWsLink. The
// built-in model says a word each 200 ms.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import { from, mergeMap } from 'rxjs'
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

// Browsers have one, Node 20 does not. GraphQLWsLink reads it when a socket breaks.
globalThis.WebSocket ??= WebSocket

const url = serverURL()

// The built-in model repeats most of this: a reply of about 25 words, 5 seconds.
const long = 'If the river had no water and the sea had no salt and nobody had a boat'
// And this one takes 8 seconds.
const longer = `I need ${Array.from({ length: 32 }, (_, i) => `thing${i}`).join(' ')}`

// join signs a user up, one after the other: a server hashes few passwords at once.
let queue = Promise.resolve()
const join = (base) => (queue = queue.catch(() => {}).then(() => signUp(base)))

// Session keeps the tokens of a user, as an application would.
class Session {
  refreshes = 0
  #refreshing = null

  constructor(base, user) {
    Object.assign(this, { base, user, token: user.token, refreshToken: user.refreshToken, expiresAt: user.expiresAt })
  }

  // refresh trades the refresh token; those who ask at the same time share it.
  refresh() {
    this.#refreshing ??= (async () => {
      const { refreshSession: next } = await data(this.base, refreshDocument, {
        input: { refreshToken: this.refreshToken },
      })
      Object.assign(this, { token: next.accessToken, refreshToken: next.refreshToken, expiresAt: next.expiresAt })
      this.refreshes++
      this.#refreshing = null
      return this.token
    })()
    return this.#refreshing
  }

  // good is the token, a fresh one where the last has ended.
  async good() {
    return Date.parse(this.expiresAt) - Date.now() < 500 ? this.refresh() : this.token
  }
}

// httpLinks is Apollo's documented chain for tokens: SetContextLink sets the header,
// ErrorLink gets a fresh token and tries once more.
function httpLinks(session) {
  const auth = new SetContextLink(({ headers }) => ({
    headers: { ...headers, authorization: `Bearer ${session.token}` },
  }))
  const retry = new ErrorLink(({ error, operation, forward }) => {
    if (CombinedGraphQLErrors.is(error) && error.errors.some((e) => e.extensions?.code === 'UNAUTHENTICATED')) {
      return from(session.refresh()).pipe(mergeMap(() => forward(operation)))
    }
  })
  return ApolloLink.from([retry, auth, new HttpLink({ uri: `${session.base}/graphql` })])
}

const setups = {
  'HttpLink alone': (session, t) => {
    const client = new ApolloClient({ link: httpLinks(session), cache: new InMemoryCache() })
    t.after(() => client.stop())
    return client
  },
  'split with GraphQLWsLink': (session, t) => {
    const socket = createClient({
      url: `${session.base.replace('http', 'ws')}/graphql`,
      connectionParams: async () => ({ Authorization: `Bearer ${await session.good()}` }),
      shouldRetry: () => true,
    })
    const link = ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      httpLinks(session),
    )
    const client = new ApolloClient({ link, cache: new InMemoryCache() })
    t.after(() => {
      client.stop()
      return socket.dispose()
    })
    return client
  },
}

// follower makes client.subscribe look as Watch wants it. Apollo reports errors of
// every kind in result.error.
const follower = (client) => ({
  subscribe(request, sink) {
    const subscription = client.subscribe({ query: gql(request.query), variables: request.variables }).subscribe({
      next: ({ data, error }) => (error ? sink.error(error) : sink.next({ data })),
      error: sink.error,
      complete: sink.complete,
    })
    return () => subscription.unsubscribe()
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
      ... on Message {
        id
        status
        content
      }
    }
  }
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

const deferred = () => {
  const d = {}
  d.promise = new Promise((resolve) => (d.resolve = resolve))
  return d
}

const codeOf = (error) => {
  assert.ok(CombinedGraphQLErrors.is(error), `want errors of GraphQL, got ${error}`)
  return error.errors[0].extensions.code
}

async function send(client, content) {
  const { data } = await client.mutate({ mutation: gql(sendDocument), variables: { input: { content } } })
  return data.sendMessage.reply
}

// lasting follows a reply to its end by the documented rule: a subscription that
// ends without MessageFinished was cut off, so subscribe again.
async function lasting(client, id, { cutOff = () => {}, begun = () => {} } = {}) {
  for (let cuts = 0; ; cuts++) {
    const watch = new Watch(follower(client), id)
    watch.when((w) => w.count('MessageDelta') === 3).then(begun, () => {})
    await watch.done.catch((error) => assert.ok(!CombinedGraphQLErrors.is(error), `${error}`))
    if (watch.types().at(-1) === 'MessageFinished') return { watch, cuts }
    assert.ok(cuts < 5, 'cut off again and again')
    await cutOff(watch)
  }
}

for (const [name, connect] of Object.entries(setups)) {
  describe(name, { concurrency: true }, () => {
    const setup = async (t, parley) => {
      const base = parley?.url ?? url
      const session = new Session(base, await join(base))
      return { session, client: connect(session, t) }
    }

    test('a query, a mutation and a whole reply, word by word', async (t) => {
      const { client, session } = await setup(t)

      assert.equal((await client.query({ query: viewer })).data.viewer.id, session.user.user.id)
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

      await assert.rejects(
        client.mutate({ mutation: stop, variables: { input: { messageId: id } } }),
        (error) => codeOf(error) === 'NOT_FOUND',
      )
      await assert.rejects(new Watch(follower(client), id).done, (error) => codeOf(error) === 'NOT_FOUND')
      const invalid = client.subscribe({
        query: gql`
          subscription {
            messageEvents(messageId: "x") {
              nothing
            }
          }
        `,
      })
      const result = await new Promise((resolve, reject) => invalid.subscribe({ next: resolve, error: reject }))
      assert.equal(codeOf(result.error), 'GRAPHQL_VALIDATION_FAILED')
    })

    test('stopReply ends the stream with the text so far', async (t) => {
      const { client, session } = await setup(t)
      const reply = await send(client, long)
      const watch = new Watch(follower(client), reply.id)
      await watch.when((w) => w.count('MessageDelta') === 3)

      await client.mutate({ mutation: stop, variables: { input: { messageId: reply.id } } })
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

    test('the cache follows by itself, and a query in between does it no harm', async (t) => {
      const { client, session } = await setup(t)
      const reply = await send(client, long)
      const shown = []
      client
        .watchQuery({ query: message, variables: { id: reply.id } })
        .subscribe(({ data }) => data?.node && shown.push(data.node.content))

      const events = client.subscribe({
        query: gql`
          subscription ($id: ID!) {
            messageEvents(messageId: $id) {
              message {
                id
                status
                content
              }
            }
          }
        `,
        variables: { id: reply.id },
      })
      let count = 0
      const queries = new Queries()
      const ask = () => client.query({ query: message, variables: { id: reply.id }, fetchPolicy: 'network-only' })
      await new Promise((resolve, reject) =>
        events.subscribe({
          next: ({ error }) => {
            if (error) return reject(error)
            if (++count % 4 === 0) queries.push(ask())
          },
          error: reject,
          complete: resolve,
        }),
      )
      await queries.settled(ask)

      const { node } = await client
        .query({ query: message, variables: { id: reply.id }, fetchPolicy: 'cache-only' })
        .then((r) => r.data)
      const stored = await readMessage(url, session.token, reply.id)
      assert.deepEqual([node.status, node.content], ['COMPLETED', stored.content])
      assert.equal(shown.at(-1), stored.content)
      assert.ok(queries.length >= 2 && shown.length >= 10, `queries ${queries.length}, shown ${shown.length}`)
      for (const text of shown) assert.ok(stored.content.startsWith(text), `shown ${JSON.stringify(text)}`)
    })

    test('deltas go into the cache, and a query in between does it no harm', async (t) => {
      const { client, session } = await setup(t)
      const reply = await send(client, long)
      const read = () =>
        client
          .query({ query: message, variables: { id: reply.id }, fetchPolicy: 'cache-only' })
          .then((r) => r.data.node)
      const id = client.cache.identify({ __typename: 'Message', id: reply.id })
      await client.query({ query: message, variables: { id: reply.id } })
      const shown = []
      const queries = new Queries()
      const ask = () => client.query({ query: message, variables: { id: reply.id }, fetchPolicy: 'network-only' })
      const watch = new Watch(follower(client), reply.id)
      await watch.when((w) => {
        const event = w.events.at(-1)
        if (event?.__typename === 'MessageDelta') {
          client.cache.modify({
            id,
            fields: {
              // An answer that events have overtaken leaves a shorter text, and a hole: the
              // rule asks for a new subscription then. Here MessageFinished mends it.
              content: (text) => (text.length < event.offset ? text : text.slice(0, event.offset) + event.text),
            },
          })
          if (w.count('MessageDelta') % 4 === 0) queries.push(ask())
          shown.push(client.cache.extract()[id].content)
        }
        return event?.__typename === 'MessageFinished'
      })
      await queries.settled(ask)

      const stored = await readMessage(url, session.token, reply.id)
      assert.equal((await read()).content, stored.content)
      assert.ok(queries.length >= 2 && shown.length >= 10)
      for (const text of shown) assert.ok(stored.content.startsWith(text), `shown ${JSON.stringify(text)}`)
    })

    test('the server is killed in the middle and comes back', async (t) => {
      const parley = await Parley.start({ PARLEY_LEASE: '5s' })
      t.after(() => parley.close())
      const { client, session } = await setup(t, parley)
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
      assert.equal(cuts > 0, name === 'HttpLink alone', 'who reconnects by itself')
    })

    test('the access token ends in the middle', async (t) => {
      const parley = await Parley.start({ PARLEY_ACCESS_TTL: '5s' })
      t.after(() => parley.close())
      const { client, session } = await setup(t, parley)
      const reply = await send(client, longer)
      const { watch, cuts } = await lasting(client, reply.id)

      // HttpLink asks for a fresh one when the old is refused, which is two minutes later.
      assert.ok(session.refreshes >= 1 || name === 'HttpLink alone', 'a fresh token')
      assert.equal(cuts, name === 'HttpLink alone' ? 1 : 0, 'who reconnects by itself')
      const stored = await readMessage(parley.url, await session.good(), reply.id)
      assert.deepEqual([stored.status, stored.attempt], ['COMPLETED', 1])
      assert.equal(watch.content, stored.content)
      assert.equal(watch.partial, stored.content, 'the deltas and the stored content')
      assert.equal((await client.query({ query: viewer })).data.viewer.id, session.user.user.id)
    })
  })
}
