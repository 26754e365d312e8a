// Apollo Client for Parley: queries and mutations by POST, subscriptions on one WebSocket.
import { ApolloClient, ApolloLink, HttpLink, makeVar } from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import { defer, mergeMap } from 'rxjs'
import { cache } from './cache'
import { problemOf } from './problem'
import { getSession, onSession, renew } from './session'

/** False while events do not arrive. */
export const connected = makeVar(true)

let accepted = 0 // when the server took the socket
let used = '' // the access token that it was opened with
let refused = '' // the one that it was closed for
let silence: ReturnType<typeof setTimeout>
let absence: ReturnType<typeof setTimeout> | undefined

export const socket = createClient({
  url: '/graphql',
  // Asked on each connect. Parley closes the socket with 4403 when its token ends.
  connectionParams: async () => {
    // Without an answer the stale token is refused again, and we come back later.
    if (refused === getSession()?.accessToken) await renew(refused).catch(() => {})
    used = getSession()?.accessToken ?? ''
    return { Authorization: `Bearer ${used}` }
  },
  shouldRetry: () => true, // also while the server is still down
  retryAttempts: Infinity,
  // The first try is at once, so that nobody sees a token end, unless the connection did not last. Then longer and
  // longer, or until the network is back.
  retryWait: async (tries) => {
    if (tries === 0 && Date.now() - accepted > 1_000) return
    const pause = Math.min(10_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2)
    await new Promise<unknown>((done) => {
      setTimeout(done, pause)
      addEventListener('online', done, { once: true, signal: AbortSignal.timeout(pause) })
    })
  },
  // A connection that has died without a word is found by a ping without an answer.
  keepAlive: 10_000,
  on: {
    connected: () => {
      accepted = Date.now()
      absence = void clearTimeout(absence)
      connected(true)
    },
    ping: (received) => {
      if (!received) silence = setTimeout(() => socket.terminate(), 5_000)
    },
    pong: (received) => {
      if (received) clearTimeout(silence)
    },
    closed: (event) => {
      clearTimeout(silence)
      const { code } = event as CloseEvent
      if (code === 4403) refused = used
      // What is over at once is not worth a word. 1000 is our own: nobody listens any more.
      if (code !== 1000) absence ??= setTimeout(connected, 2_000, false)
    },
  },
})

const tokenLink = new SetContextLink(({ headers, anonymous }) => {
  const token = getSession()?.accessToken
  return token && !anonymous ? { token, headers: { ...headers, authorization: `Bearer ${token}` } } : {}
})

/** Repeats an operation whose access token has ended with the next one. */
const renewLink = new ErrorLink(({ error, operation, forward }) => {
  const { token } = operation.getContext() as { token?: string }
  if (!token || problemOf(error).code !== 'UNAUTHENTICATED') return
  return defer(() => renew(token)).pipe(mergeMap(() => forward(operation)))
})

export const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    ApolloLink.from([renewLink, tokenLink, new HttpLink({ uri: '/graphql' })]),
  ),
  cache,
})

// What one user has loaded is not there for the next one.
let owner = getSession()?.user.id
onSession(() => {
  const user = getSession()?.user.id
  if (user !== owner) {
    owner = user
    socket.terminate()
    void cache.reset() // not client.clearStore, which is late, and stops what the next user's page watches
  }
})
