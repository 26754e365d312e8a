// What relay.test.mjs asks for. relay-compiler reads this file and writes one module
// for each operation; the names must begin with the name of the file.
import { graphql } from 'relay-runtime'

graphql`
  query documentsViewerQuery {
    viewer {
      id
      email
    }
  }
`

graphql`
  query documentsMessageQuery($id: ID!) {
    node(id: $id) {
      ... on Message {
        id
        status
        content
      }
    }
  }
`

graphql`
  mutation documentsSendMutation($input: SendMessageInput!) {
    sendMessage(input: $input) {
      reply {
        id
        status
        content
      }
    }
  }
`

graphql`
  mutation documentsStopMutation($input: StopReplyInput!) {
    stopReply(input: $input) {
      message {
        id
        status
        content
      }
    }
  }
`

graphql`
  subscription documentsWatchSubscription($id: ID!, $after: String) {
    messageEvents(messageId: $id, after: $after) {
      __typename
      ... on MessageSnapshot {
        cursor
        message {
          id
          status
          content
          attempt
        }
      }
      ... on MessageDelta {
        cursor
        offset
        text
      }
      ... on MessageReasoningDelta {
        cursor
        offset
        text
      }
      ... on MessageFinished {
        message {
          id
          status
          content
          attempt
          finishReason
          error {
            code
          }
        }
      }
    }
  }
`

graphql`
  subscription documentsSimpleSubscription($id: ID!) {
    messageEvents(messageId: $id) {
      message {
        id
        status
        content
      }
    }
  }
`
