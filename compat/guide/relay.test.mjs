import relay from 'relay-runtime'
import { scenarios } from './scenarios.mjs'

const { createOperationDescriptor, fetchQuery, getFragment, getRequest, getSingularSelector } = relay

scenarios(
  'Relay',
  async (load, t) => {
    const { environment } = await load('relay/environment.js')
    const chat = await load('relay/chat.js')
    const { session } = await load('session.js')

    // reader reads what useLazyLoadQuery, usePaginationFragment and useFragment do: a
    // query, a list at one of its fields, and a fragment at each node of the list.
    async function reader(query, variables, at, list, node) {
      const operation = createOperationDescriptor(getRequest(query), variables)
      t.after(environment.retain(operation).dispose)
      await fetchQuery(environment, query, variables).toPromise()
      const read = (fragment, ref) => environment.lookup(getSingularSelector(getFragment(fragment), ref))
      const connection = (data) => Object.values(data).find((value) => value?.edges)
      const root = () => at(environment.lookup(operation.fragment).data)
      const nodes = () =>
        connection(read(list, root()).data).edges.map(({ node: ref }) => ({ ...ref, ...read(node, ref).data }))
      // loadNext and loadPrevious.
      const page = () => {
        const { pageInfo } = connection(read(list, root()).data)
        const { refetch } = getFragment(list).metadata
        const cursor = pageInfo.endCursor ?? pageInfo.startCursor
        const variables = { id: root().id, count: 50, cursor }
        return fetchQuery(environment, refetch.operation, variables, { fetchPolicy: 'network-only' }).toPromise()
      }
      return { nodes, page }
    }

    return {
      async followList(onError) {
        const { nodes, page } = await reader(chat.listQuery, {}, ({ viewer }) => viewer, chat.list, chat.row)
        t.after(chat.followList(session().user.id, onError))
        const newestFirst = (a, b) => Date.parse(b.lastMessageAt) - Date.parse(a.lastMessageAt)
        return { rows: () => nodes().filter((row) => !row.archivedAt).sort(newestFirst), more: page }
      },
      async followChat(id, onError) {
        const at = (data) => data.conversation
        const { nodes, page } = await reader(chat.chatQuery, { id }, at, chat.chat, chat.message)
        t.after(chat.followChat(id, onError))
        return {
          messages: nodes,
          earlier: page,
          // All that a page could have rendered: after each change of the store.
          changed: (listener) => {
            const store = environment.getStore()
            const { notify } = store
            store.notify = (...args) => {
              const owners = notify.apply(store, args)
              listener()
              return owners
            }
          },
          spoil: (id) => environment.commitUpdate((store) => store.get(id).setValue('', 'content')),
        }
      },
    }
  },
  { relay: true },
)
