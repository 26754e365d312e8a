// Apollo Client for Parley. Queries, mutations and subscriptions all go through
// HttpLink: Parley speaks Apollo's multipart subscriptions, so there is no second link.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache } from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { RetryLink } from '@apollo/client/link/retry'
import { defer, mergeMap } from 'rxjs'
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

/** Repeats what a lost connection has interrupted, subscriptions too: those begin with a snapshot again. */
const retryLink = new RetryLink({
  delay: { initial: 500, max: 10_000, jitter: true },
  attempts: { max: 10, retryIf: (error) => !CombinedGraphQLErrors.is(error) },
})

/** Repeats an operation whose access token has ended, with the next one. */
const refreshLink = new ErrorLink(({ error, operation, forward }) => {
  const ended =
    CombinedGraphQLErrors.is(error) && error.errors.some(({ extensions }) => extensions?.['code'] === 'UNAUTHENTICATED')
  if (!ended || !session || operation.getContext()['anonymous']) return
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
  cache: new InMemoryCache(),
})
