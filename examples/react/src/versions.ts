// Versions of what was said. What comes of a change is told by the feed, here and on all other devices.
import { client } from './client'
import { regenerateDocument, selectDocument, siblingsDocument } from './operations'

/** Has a reply written again; a reply that is being written meanwhile is stopped. */
export function regenerate(messageId: string) {
  const clientKey = crypto.getRandomValues(new Uint32Array(4)).join('-')
  const input = { messageId, clientKey, onBusy: 'INTERRUPT' } as const
  return client.mutate({ mutation: regenerateDocument, variables: { input }, fetchPolicy: 'no-cache' })
}

/** Shows the version before (-1) or behind (1) a message. The line goes on there as it was left. */
export async function turn(id: string, step: -1 | 1) {
  const { data } = await client.query({ query: siblingsDocument, variables: { id }, fetchPolicy: 'no-cache' })
  const versions = data?.node && 'siblings' in data.node ? data.node.siblings.nodes : []
  const other = versions[versions.findIndex((version) => version.id === id) + step]
  if (!other) return
  await client.mutate({
    mutation: selectDocument,
    variables: { input: { messageId: other.id } },
    fetchPolicy: 'no-cache',
  })
}
