import { gql } from '@apollo/client'
import { scenarios } from './scenarios.mjs'

// What React's useFragment reads and renders.
function reader(client, options) {
  let held
  const listeners = []
  const watching = client.watchFragment(options).subscribe(({ data, complete }) => {
    held = complete ? data : undefined
    for (const listener of listeners) listener()
  })
  return { held: () => held, changed: (listener) => listeners.push(listener), stop: () => watching.unsubscribe() }
}

const drive = async (load, t) => {
  const { client } = await load('apollo/client.js')
  const chat = await load('apollo/chat.js')
  const { session } = await load('session.js')
  t.after(() => client.stop())
  return {
    followList(onError) {
      t.after(chat.followList(onError))
      const from = { __typename: 'User', id: session().user.id }
      const { held } = reader(client, { fragment: chat.listFields, fragmentName: 'List', from })
      return { rows: () => held()?.conversations.nodes, more: chat.more }
    },
    followChat(id, onError) {
      t.after(chat.followChat(id, onError))
      const from = { __typename: 'Conversation', id }
      const { held, changed } = reader(client, { fragment: chat.chatFields, fragmentName: 'Chat', from })
      return {
        messages: () => held()?.messages.nodes,
        changed,
        earlier: () => chat.earlier(id),
        spoil: (id) =>
          client.cache.writeFragment({
            id: client.cache.identify({ __typename: 'Message', id }),
            fragment: gql`
              fragment Spoilt on Message {
                content
              }
            `,
            data: { __typename: 'Message', content: '' },
          }),
      }
    },
  }
}

scenarios('Apollo Client', drive, { retries: true })
