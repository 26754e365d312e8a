// Versions: a reply is written again, and those beside it are shown in turn, ‹ 2/3 ›.
import type { Reference } from '@apollo/client'
import { client } from './client.js'
import { graphql } from './generated/index.js'

export const versionFields = graphql(`
  fragment VersionFields on Message {
    id
    index
    siblingCount
    siblingPosition
  }
`)

/** The line of messages that is shown. */
export const lineFields = graphql(`
  fragment LineFields on Conversation {
    id
    messages(last: 50) {
      edges {
        node {
          id
          ...ReplyFields
          ...VersionFields
        }
      }
    }
  }
`)

const regenerateDocument = graphql(`
  mutation Regenerate($input: RegenerateReplyInput!) {
    regenerateReply(input: $input) {
      conversation {
        id
      }
      replyEdge {
        __typename
        node {
          id
          index
          ...ReplyFields
          siblings(first: 100) {
            nodes {
              ...VersionFields
            }
          }
        }
      }
    }
  }
`)

const siblingsDocument = graphql(`
  query Siblings($id: ID!) {
    node(id: $id) {
      ... on Message {
        id
        siblings(first: 100) {
          nodes {
            id
          }
        }
      }
    }
  }
`)

const selectDocument = graphql(`
  mutation Select($input: SelectBranchInput!) {
    selectBranch(input: $input) {
      conversation {
        ...LineFields
      }
    }
  }
`)

/** Has a reply written again, and puts the new version into the list in place of what is shown. */
export async function regenerate(messageId: string) {
  const { data } = await client.mutate({
    mutation: regenerateDocument,
    variables: { input: { messageId, clientKey: crypto.randomUUID() } },
    update(cache, { data }) {
      const { conversation, replyEdge } = data!.regenerateReply
      cache.modify<Record<string, any>>({
        id: cache.identify(conversation)!,
        fields: {
          messages: (held: { edges: { node: Reference }[] }, { readField, toReference }) => ({
            ...held,
            edges: [
              ...held.edges.filter(({ node }) => readField<number>('index', node)! < replyEdge.node.index),
              { __typename: replyEdge.__typename, node: toReference(replyEdge.node) },
            ],
          }),
        },
      })
    },
  })
  return data!.regenerateReply.replyEdge.node
}

/** Shows the version before (-1) or behind (1) a message. The answer brings the line as it is then. */
export async function turn(id: string, step: -1 | 1) {
  const { data } = await client.query({ query: siblingsDocument, variables: { id }, fetchPolicy: 'network-only' })
  const versions = data?.node && 'siblings' in data.node ? data.node.siblings.nodes : []
  const other = versions[versions.findIndex((version) => version.id === id) + step]
  if (other) await client.mutate({ mutation: selectDocument, variables: { input: { messageId: other.id } } })
}

/** What to write below the last message of a line: ‹ 2/3 ›. */
export function place(conversationId: string): string {
  const from = { __typename: 'Conversation', id: conversationId } as const
  const line = client.readFragment({ fragment: lineFields, fragmentName: 'LineFields', from })!
  const message = client.readFragment({ fragment: versionFields, from: line.messages.edges.at(-1)!.node })!
  return `‹ ${message.siblingPosition}/${message.siblingCount} ›`
}
