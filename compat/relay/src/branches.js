// What branches.test.mjs asks for; see documents.js.
import { graphql } from 'relay-runtime'

graphql`
  fragment branches_message on Message {
    id
    index
    role
    status
    content
    siblingCount
    siblingPosition
  }
`

graphql`
  fragment branches_chat on Conversation {
    id
    messages(last: 50) @connection(key: "branches_messages") {
      edges {
        node {
          id
          ...branches_message @relay(mask: false)
        }
      }
    }
  }
`

graphql`
  query branchesChatQuery($id: ID!) {
    conversation(id: $id) {
      ...branches_chat @relay(mask: false)
    }
  }
`

graphql`
  subscription branchesFeedSubscription($id: ID!, $connections: [ID!]!) {
    conversationEvents(conversationId: $id) {
      __typename
      ... on ConversationSnapshot {
        fromIndex
        conversation {
          ...branches_chat
        }
      }
      ... on MessageAdded {
        edge @appendEdge(connections: $connections) {
          node {
            ...branches_message
          }
        }
      }
      ... on MessageSnapshot {
        message {
          ...branches_message
        }
      }
      ... on MessageDelta {
        message {
          id
        }
        offset
        text
      }
      ... on MessageFinished {
        message {
          ...branches_message
        }
      }
    }
  }
`

graphql`
  mutation branchesRegenerateMutation($input: RegenerateReplyInput!, $connections: [ID!]!) {
    regenerateReply(input: $input) {
      replyEdge @appendEdge(connections: $connections) {
        node {
          id
          ...branches_message
        }
      }
    }
  }
`

graphql`
  mutation branchesEditMutation($input: EditMessageInput!, $connections: [ID!]!) {
    editMessage(input: $input) {
      userMessageEdge @appendEdge(connections: $connections) {
        node {
          id
          ...branches_message
        }
      }
      replyEdge @appendEdge(connections: $connections) {
        node {
          id
          ...branches_message
        }
      }
    }
  }
`
