// The reply in the store: whoever reads the fragment reply_message sees it grow.
import { graphql, requestSubscription } from 'relay-runtime'
import type { replyEventsSubscription } from './__generated__/replyEventsSubscription.graphql.ts'
import { environment } from './environment.ts'

export const replyFragment = graphql`
  fragment reply_message on Message {
    id
    status
    content
    error {
      code
      message
    }
  }
`

const eventsSubscription = graphql`
  subscription replyEventsSubscription($messageId: ID!) {
    messageEvents(messageId: $messageId) {
      __typename
      ... on MessageSnapshot {
        message {
          ...reply_message
        }
      }
      ... on MessageDelta {
        offset
        text
      }
      ... on MessageFinished {
        message {
          ...reply_message
        }
      }
    }
  }
`

/** Writes the events of a message into the store until it is final. */
export async function follow(messageId: string): Promise<void> {
  // A stream that ends without MessageFinished was cut off, and is begun again.
  for (let tries = 1; !(await followOnce(messageId)); tries++) {
    if (tries === 10) throw new Error('the reply does not come to its end')
  }
}

function followOnce(messageId: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let finished = false
    let hole = false
    const subscription = requestSubscription<replyEventsSubscription>(environment, {
      subscription: eventsSubscription,
      variables: { messageId },
      // MessageSnapshot and MessageFinished hold the message, which Relay has put into the store.
      updater: (store, response) => {
        const event = response?.messageEvents
        if (event?.__typename !== 'MessageDelta') return
        const message = store.get(messageId)
        const content = message?.getValue('content')
        if (typeof content !== 'string' || content.length < event.offset) {
          hole = true
          return
        }
        message!.setValue(content.slice(0, event.offset) + event.text, 'content')
      },
      onNext: (response) => {
        if (response?.messageEvents.__typename === 'MessageFinished') finished = true
        if (hole) {
          // Something was lost: begin again, with a snapshot.
          subscription.dispose()
          resolve(false)
        }
      },
      onError: reject,
      onCompleted: () => resolve(finished),
    })
  })
}
