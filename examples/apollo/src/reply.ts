// The reply in the cache: whoever watches ReplyFields of a message sees it grow.
import { client } from './client.js'
import { graphql } from './generated/index.js'

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

const eventsDocument = graphql(`
  subscription ReplyEvents($messageId: ID!) {
    messageEvents(messageId: $messageId) {
      __typename
      ... on MessageSnapshot {
        message {
          ...ReplyFields
        }
      }
      ... on MessageDelta {
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
`)

/** Writes the events of a message into the cache until it is final. */
export async function follow(messageId: string): Promise<void> {
  // A stream that ends without MessageFinished was cut off, and is begun again.
  for (let tries = 1; !(await followOnce(messageId)); tries++) {
    if (tries === 10) throw new Error('the reply does not come to its end')
  }
}

function followOnce(messageId: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let finished = false
    const subscription = client.subscribe({ query: eventsDocument, variables: { messageId } }).subscribe({
      next({ data, error }) {
        if (error) return reject(error)
        const event = data?.messageEvents
        switch (event?.__typename) {
          // MessageSnapshot and MessageFinished hold the message, which Apollo has put into the cache.
          case 'MessageFinished':
            finished = true
            break
          case 'MessageDelta':
            client.cache.modify({
              id: client.cache.identify({ __typename: 'Message', id: messageId })!,
              fields: {
                content(held: string) {
                  if (held.length >= event.offset) return held.slice(0, event.offset) + event.text
                  // Something was lost: begin again, with a snapshot.
                  subscription.unsubscribe()
                  resolve(false)
                  return held
                },
              },
            })
        }
      },
      error: reject,
      complete: () => resolve(finished),
    })
  })
}
