// Every operation of the page. Codegen makes their types of the schema.
import { graphql } from './generated'

graphql(`
  fragment SessionFields on AuthPayload { accessToken refreshToken user { id email name } }
`)
export const signUpDocument = graphql(`
  mutation SignUp($input: SignUpInput!) { auth: signUp(input: $input) { ...SessionFields } }
`)
export const signInDocument = graphql(`
  mutation SignIn($input: SignInInput!) { auth: signIn(input: $input) { ...SessionFields } }
`)
export const refreshDocument = graphql(`
  mutation Refresh($input: RefreshSessionInput!) { refreshSession(input: $input) { ...SessionFields } }
`)
export const signOutDocument = graphql(`
  mutation SignOut { signOut { signedOut } }
`)

graphql(`
  fragment RowFields on Conversation { id name lastMessageAt archivedAt runningReply { id } queuedReplies { id } }
`)
graphql(`
  fragment RowPage on ConversationConnection { nodes { ...RowFields } pageInfo { hasNextPage endCursor } }
`)
export const listFields = graphql(`
  fragment ListFields on User { id conversations(first: 30) { ...RowPage } }
`)
export const moreDocument = graphql(`
  query More($first: Int!, $after: String) {
    viewer { id conversations(first: $first, after: $after) { ...RowPage } }
  }
`)
/** The top of the list and all that follows, in one subscription: nothing can be lost in between. */
export const viewerEventsDocument = graphql(`
  subscription ViewerEvents {
    viewerEvents {
      __typename
      ... on ViewerReady { viewer { ...ListFields } }
      ... on ConversationCreated { conversation { ...RowFields } }
      ... on ConversationUpdated { conversation { ...RowFields } }
      ... on ConversationDeleted { conversationId }
    }
  }
`)

export const messageFields = graphql(`
  fragment MessageFields on Message {
    id index role status content clientKey siblingCount siblingPosition error { message }
  }
`)
graphql(`
  fragment MessagePage on MessageConnection { nodes { ...MessageFields } pageInfo { hasPreviousPage startCursor } }
`)
/** The open chat, without the text of its messages: each message reads its own. */
export const chatFields = graphql(`
  fragment ChatFields on Conversation {
    id
    name
    messages(last: 50) { nodes { id status clientKey } pageInfo { hasPreviousPage startCursor } }
  }
`)
export const olderDocument = graphql(`
  query Older($id: ID!, $before: String!) {
    conversation(id: $id) { id messages(last: 50, before: $before) { ...MessagePage } }
  }
`)
/** The latest page and all that follows it, likewise. */
export const conversationEventsDocument = graphql(`
  subscription ConversationEvents($id: ID!) {
    conversationEvents(conversationId: $id) {
      __typename
      ... on ConversationSnapshot { conversation { ...RowFields messages(last: 50) { ...MessagePage } } }
      ... on ConversationUpdated { conversation { ...RowFields } }
      ... on ConversationDeleted { conversationId }
      ... on MessageAdded { message { ...MessageFields } }
      ... on MessageSnapshot { message { ...MessageFields } }
      ... on MessageDelta { message { id } offset text }
      ... on MessageFinished { message { ...MessageFields } }
    }
  }
`)
export const sendDocument = graphql(`
  mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { conversation { id } } }
`)
export const stopDocument = graphql(`
  mutation Stop($input: StopReplyInput!) { stopReply(input: $input) { message { id } } }
`)
export const regenerateDocument = graphql(`
  mutation Regenerate($input: RegenerateReplyInput!) { regenerateReply(input: $input) { reply { id } } }
`)
export const siblingsDocument = graphql(`
  query Siblings($id: ID!) { node(id: $id) { ... on Message { siblings(first: 100) { nodes { id } } } } }
`)
export const selectDocument = graphql(`
  mutation Select($input: SelectBranchInput!) { selectBranch(input: $input) { fromIndex } }
`)
