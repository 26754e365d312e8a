// Apollo Client for Parley. Queries, mutations and subscriptions all go through
// HttpLink: Parley speaks Apollo's multipart subscriptions, so there is no second link.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache } from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { RetryLink } from '@apollo/client/link/retry'
import { defer, mergeMap, throwError } from 'rxjs'
import { graphql } from './generated/index.js'

export interface Session {
  accessToken: string
  refreshToken: string
}

const uri = `${process.env['PARLEY_URL'] ?? 'http://127.0.0.1:8080'}/graphql`

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
  refreshing ??= client
    .mutate({
      mutation: refreshDocument,
      variables: { input: { refreshToken: session!.refreshToken } },
      context: { anonymous: true },
      fetchPolicy: 'no-cache',
    })
    // An error means that the session is over: show the form to sign in.
    .then(({ data }) => setSession(data!.refreshSession))
    .finally(() => (refreshing = null))
  return refreshing
}

const codesOf = (error: unknown) =>
  CombinedGraphQLErrors.is(error) ? error.errors.map(({ extensions }) => extensions?.['code']) : []

/** What may go well the next time: no answer, or one that says so. */
const isPassing = (error: unknown) =>
  !CombinedGraphQLErrors.is(error) || codesOf(error).some((code) => code === 'UNAVAILABLE' || code === 'OVERLOADED')

/** Repeats what a lost connection has interrupted, subscriptions too: those begin with a snapshot again. */
const retryLink = new RetryLink({
  // The first try is at once. Then longer and longer.
  delay: (count) => (count === 1 ? 0 : Math.min(10_000, 250 * 2 ** count) * (0.5 + Math.random() / 2)),
  attempts: { max: 10, retryIf: isPassing },
})

/** Repeats an operation whose access token has ended, with the next one. */
const refreshLink = new ErrorLink(({ error, operation, forward }) => {
  if (CombinedGraphQLErrors.is(error) && isPassing(error)) return throwError(() => error) // to retryLink
  if (!codesOf(error).includes('UNAUTHENTICATED') || !session || operation.getContext()['anonymous']) return
  // While this was under way another operation may have got new tokens already.
  const stale = operation.getContext()['token'] === session.accessToken
  return defer(() => (stale ? refresh() : Promise.resolve())).pipe(mergeMap(() => forward(operation)))
})

const tokenLink = new SetContextLink(({ headers, anonymous }) => {
  if (!session || anonymous) return {}
  return { token: session.accessToken, headers: { ...headers, authorization: `Bearer ${session.accessToken}` } }
})

export const client = new ApolloClient({
  link: ApolloLink.from([retryLink, refreshLink, tokenLink, new HttpLink({ uri })]),
  cache: new InMemoryCache({
    possibleTypes: {
      Node: ['User', 'Conversation', 'Message'],
      MessageEvent: ['MessageSnapshot', 'MessageDelta', 'MessageReasoningDelta', 'MessageFinished'],
    },
    typePolicies: {
      // An event replaces the event before it. Without this the development build warns at each.
      Subscription: { fields: { messageEvents: { merge: false } } },
      // One list, whatever page was asked for; a new page takes its place.
      Conversation: { fields: { messages: { keyArgs: false, merge: false } } },
    },
  }),
})
