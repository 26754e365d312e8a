// Following a reply: events in, text out.
import { pipe, subscribe, onEnd } from 'wonka'
import type { ResultOf } from 'gql.tada'
import { client } from './client.js'
import { graphql } from './graphql.js'

export const replyFields = graphql(`
  fragment ReplyFields on Message {
    id
    status
    content
    error {
      code
      message
    }
  }
`)

export type Reply = ResultOf<typeof replyFields>

const eventsDocument = graphql(
  `
    subscription ReplyEvents($messageId: ID!, $after: String) {
      messageEvents(messageId: $messageId, after: $after) {
        __typename
        ... on MessageSnapshot {
          cursor
          message {
            ...ReplyFields
          }
        }
        ... on MessageDelta {
          cursor
          offset
          text
        }
        ... on MessageFinished {
          message {
            ...ReplyFields
          }
        }
      }
    }
  `,
  [replyFields],
)

/** Calls show with the text of a reply whenever it has grown, and returns the final message. */
export async function follow(reply: Reply, show: (content: string) => void): Promise<Reply> {
  const held = { content: reply.content, cursor: null as string | null }
  for (let tries = 1; tries <= 10; tries++) {
    const final = await followOnce(reply.id, held, show)
    if (final) return final
  }
  throw new Error('the reply does not come to its end')
}

/** Follows until the stream ends; null when it was cut off and is to be begun again behind held.cursor. */
function followOnce(
  messageId: string,
  held: { content: string; cursor: string | null },
  show: (content: string) => void,
): Promise<Reply | null> {
  return new Promise((resolve, reject) => {
    const { unsubscribe } = pipe(
      // When graphql-ws connects again it sends the same variables. That is always safe:
      // the events begin where they began before, and the rule below takes them twice.
      client.subscription(eventsDocument, { messageId, after: held.cursor }),
      onEnd(() => resolve(null)),
      subscribe(({ data, error }) => {
        if (error) return reject(error)
        const event = data?.messageEvents
        switch (event?.__typename) {
          case 'MessageSnapshot': // replaces what you hold
            held.content = event.message.content
            held.cursor = event.cursor
            break
          case 'MessageDelta':
            if (held.content.length < event.offset) {
              // Something was lost: begin again, with a snapshot.
              held.cursor = null
              unsubscribe()
              return resolve(null)
            }
            held.content = held.content.slice(0, event.offset) + event.text
            held.cursor = event.cursor
            break
          case 'MessageFinished': // replaces it, too, and is the last one; urql gives it twice
            show(event.message.content)
            return resolve(event.message)
          default: // Later versions have more kinds.
            return
        }
        show(held.content)
      }),
    )
  })
}
