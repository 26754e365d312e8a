// Relay's network for Parley: queries and mutations by POST, subscriptions over a
// WebSocket.
import { createClient } from 'graphql-ws'
import { Environment, Network, Observable, RecordSource, Store } from 'relay-runtime'
import type { GraphQLResponse, RequestParameters, Variables } from 'relay-runtime'
import WebSocket from 'ws'

export interface Session {
  accessToken: string
  refreshToken: string
}

// Not a template: relay-compiler takes the end of one for its own tag.
const url = (process.env['PARLEY_URL'] ?? 'http://127.0.0.1:8080') + '/graphql'

/** The session is over: show the form to sign in. */
class SignedOut extends Error {}

let session: Session | null = null
let refreshing: Promise<void> | null = null

export function setSession(next: Session) {
  session = next
}

interface Answer {
  data?: Record<string, unknown> | null
  errors?: { message: string; extensions?: { code?: string } }[]
}

async function post(query: string, variables: Variables, token?: string): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  })
  return (await response.json()) as Answer
}

/** Gets the next tokens. A refresh token is good once, so all who ask meanwhile wait for one call. */
function refresh(): Promise<void> {
  const document = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken } }`
  refreshing ??= post(document, { input: { refreshToken: session!.refreshToken } })
    .then(({ data, errors }) => {
      if (!data) throw new SignedOut(errors?.[0]?.message)
      setSession(data['refreshSession'] as Session)
    })
    .finally(() => (refreshing = null))
  return refreshing
}

async function fetchOperation({ text }: RequestParameters, variables: Variables): Promise<GraphQLResponse> {
  const token = session?.accessToken
  let answer = await post(text!, variables, token)
  if (token && answer.errors?.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')) {
    // The token has ended. Another operation may have got new ones meanwhile.
    if (session?.accessToken === token) await refresh()
    answer = await post(text!, variables, session!.accessToken)
  }
  // Relay throws when there are errors and no data.
  return answer as GraphQLResponse
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

function subscribeOperation({ text, name }: RequestParameters, variables: Variables): Observable<GraphQLResponse> {
  return Observable.create((sink) =>
    socket.subscribe(
      { operationName: name, query: text!, variables },
      {
        next: (result) => sink.next(result as GraphQLResponse),
        error: (error) =>
          sink.error(error instanceof Error ? error : new Error('the socket was closed', { cause: error })),
        complete: () => sink.complete(),
      },
    ),
  )
}

export const environment = new Environment({
  network: Network.create(fetchOperation, subscribeOperation),
  store: new Store(new RecordSource()),
})

/** Closes the socket, which would otherwise stay open for the next subscription. */
export function close() {
  void socket.dispose()
}
