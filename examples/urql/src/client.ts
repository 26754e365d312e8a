// urql for Parley: queries and mutations by POST, subscriptions over a WebSocket.
import { Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { authExchange } from '@urql/exchange-auth'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { graphql } from './graphql.js'

export interface Session {
  accessToken: string
  refreshToken: string
}

const url = `${process.env['PARLEY_URL'] ?? 'http://127.0.0.1:8080'}/graphql`

/** For what needs no token: signing up and in, and new tokens. */
export const anonymous = new Client({ url, exchanges: [fetchExchange], preferGetMethod: false })

/** The session is over: show the form to sign in. */
class SignedOut extends Error {}

let session: Session | null = null
let refreshing: Promise<void> | null = null

export function setSession(next: Session) {
  session = next
}

const refreshDocument = graphql(`
  mutation Refresh($input: RefreshSessionInput!) {
    refreshSession(input: $input) {
      accessToken
      refreshToken
    }
  }
`)

/** Gets the next tokens. A refresh token is good once, so all who ask meanwhile wait for one call. */
function refresh(): Promise<void> {
  refreshing ??= anonymous
    .mutation(refreshDocument, { input: { refreshToken: session!.refreshToken } })
    .toPromise()
    .then(({ data, error }) => {
      if (!data) throw error?.networkError ? error : new SignedOut(error?.message)
      setSession(data.refreshSession)
    })
    .finally(() => (refreshing = null))
  return refreshing
}

// The socket's token may end while it is open: Parley then closes it with 4403, and
// graphql-ws comes back by itself and asks connectionParams once more.
let accepted = 0 // when the server took the connection
let token: string | undefined // what it was opened with
let refused: string | undefined // what the server takes no more
let pongDue: NodeJS.Timeout | undefined

const socket = createClient({
  url: url.replace(/^http/, 'ws'),
  webSocketImpl: WebSocket, // Browsers and Node 22 have their own.
  connectionParams: async () => {
    if (session!.accessToken === refused) await refresh()
    token = session!.accessToken
    return { Authorization: `Bearer ${token}` }
  },
  shouldRetry: (error) => !(error instanceof SignedOut), // also while the server is still down
  retryAttempts: Infinity,
  // The first try is at once, unless the connection did not last. Then longer and longer.
  retryWait: async (retries) => {
    if (retries === 0 && Date.now() - accepted > 1_000) return
    const longest = Math.min(10_000, 500 * 2 ** retries)
    await new Promise((done) => setTimeout(done, longest * (0.5 + Math.random() / 2)))
  },
  // A connection that has died without a word is found by a ping without an answer.
  keepAlive: 10_000,
  on: {
    connected: () => (accepted = Date.now()),
    ping: (received) => {
      if (!received) pongDue = setTimeout(() => socket.terminate(), 5_000)
    },
    pong: () => clearTimeout(pongDue),
    closed: (event) => {
      clearTimeout(pongDue)
      if ((event as CloseEvent).code === 4403) refused = token
    },
  },
})

export const client = new Client({
  url,
  preferGetMethod: false,
  exchanges: [
    authExchange(async ({ appendHeaders }) => ({
      addAuthToOperation: (operation) =>
        session ? appendHeaders(operation, { Authorization: `Bearer ${session.accessToken}` }) : operation,
      didAuthError: (error) => error.graphQLErrors.some(({ extensions }) => extensions['code'] === 'UNAUTHENTICATED'),
      refreshAuth: refresh,
    })),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe({ query: query!, variables }, sink),
        }),
      }),
    }),
  ],
})

/** Closes the socket, which would otherwise stay open for the next subscription. */
export function close() {
  void socket.dispose()
}
