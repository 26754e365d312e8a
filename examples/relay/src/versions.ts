// Versions: a reply is written again, and those beside it are shown in turn, ‹ 2/3 ›.
import { commitMutation, ConnectionHandler, fetchQuery, getFragment, getSingularSelector, graphql } from 'relay-runtime'
import type { GraphQLTaggedNode, MutationParameters, SelectorStoreUpdater } from 'relay-runtime'
import type { versions_line$data, versions_line$key } from './__generated__/versions_line.graphql.ts'
import type { versionsRegenerateMutation } from './__generated__/versionsRegenerateMutation.graphql.ts'
import type { versionsSelectMutation } from './__generated__/versionsSelectMutation.graphql.ts'
import type { versionsSiblingsQuery } from './__generated__/versionsSiblingsQuery.graphql.ts'
import { environment } from './environment.ts'

/** The line of messages that is shown. */
export const lineFragment = graphql`
  fragment versions_line on Conversation {
    messages(last: 50) @connection(key: "versions_messages") {
      edges {
        node {
          id
          index
          siblingCount
          siblingPosition
          ...reply_message
        }
      }
    }
  }
`

const regenerateMutation = graphql`
  mutation versionsRegenerateMutation($input: RegenerateReplyInput!, $connections: [ID!]!) {
    regenerateReply(input: $input) {
      replyEdge @appendEdge(connections: $connections) {
        node {
          id
          index
          ...reply_message
          siblings(first: 100) {
            nodes {
              id
              siblingCount
              siblingPosition
            }
          }
        }
      }
    }
  }
`

const siblingsQuery = graphql`
  query versionsSiblingsQuery($id: ID!) {
    node(id: $id) {
      ... on Message {
        siblings(first: 100) {
          nodes {
            id
          }
        }
      }
    }
  }
`

const selectMutation = graphql`
  mutation versionsSelectMutation($input: SelectBranchInput!) {
    selectBranch(input: $input) {
      conversation {
        ...versions_line
      }
    }
  }
`

/** commitMutation as a promise. */
export function mutate<T extends MutationParameters>(
  mutation: GraphQLTaggedNode,
  variables: T['variables'],
  updater: SelectorStoreUpdater<T['response']> | null = null,
): Promise<T['response']> {
  return new Promise((resolve, reject) =>
    commitMutation<T>(environment, {
      mutation,
      variables,
      updater,
      onCompleted: (response, errors) => (errors?.length ? reject(new Error(errors[0]!.message)) : resolve(response)),
      onError: reject,
    }),
  )
}

/** Has a reply written again. @appendEdge puts the new version into the list, and what stood there leaves it. */
export async function regenerate(conversationId: string, messageId: string) {
  const connection = ConnectionHandler.getConnectionID(conversationId, 'versions_messages')
  const variables = { input: { messageId, clientKey: crypto.randomUUID() }, connections: [connection] }
  const response = await mutate<versionsRegenerateMutation>(regenerateMutation, variables, (store, response) => {
    const { id, index } = response!.regenerateReply.replyEdge.node
    const list = store.get(connection)!
    for (const edge of list.getLinkedRecords('edges') ?? []) {
      const node = edge!.getLinkedRecord('node')!
      if (node.getDataID() !== id && Number(node.getValue('index')) >= index) {
        ConnectionHandler.deleteNode(list, node.getDataID())
      }
    }
  })
  return response.regenerateReply.replyEdge.node
}

/** Shows the version before (-1) or behind (1) a message. The answer brings the line as it is then. */
export async function turn(id: string, step: -1 | 1) {
  const data = await fetchQuery<versionsSiblingsQuery>(environment, siblingsQuery, { id }).toPromise()
  const versions = data?.node?.siblings?.nodes ?? []
  const other = versions[versions.findIndex((version) => version.id === id) + step]
  if (other) await mutate<versionsSelectMutation>(selectMutation, { input: { messageId: other.id } })
}

/** What to write below the last message of a line: ‹ 2/3 ›. */
export function place(line: versions_line$key): string {
  const selector = getSingularSelector(getFragment(lineFragment), line)!
  const { messages } = environment.lookup(selector).data as unknown as versions_line$data
  const { siblingCount, siblingPosition } = messages.edges.at(-1)!.node
  return `‹ ${siblingPosition}/${siblingCount} ›`
}
