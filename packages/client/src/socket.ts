// Subscriptions over one WebSocket: graphql-transport-ws.
import { type Dial, type Subscriber, closeCode } from './link.js'
import { type Answer, refusal } from './refused.js'
import { backOff } from './wait.js'

interface Frame {
  id: string
  type: string
  payload: unknown
}

/** The body of a request, with the id of its document where it has one. */
export type Body = (document: string, variables: unknown) => object

/** How often the server is asked whether it is there, and how long it may be silent. */
const silence = 10_000

export const dialSocket =
  (Socket: typeof WebSocket, url: string, body: Body): Dial =>
  (token, subscribers, { up, down, over }) => {
    const running = new Map<string, Subscriber>()
    const socket = new Socket(url, 'graphql-transport-ws')
    let ids = 0
    let heard = false
    let ready = false
    let open = true
    const say = (frame: object) => socket.send(JSON.stringify(frame))
    const shut = () => {
      open = false
      clearInterval(watch)
      socket.close()
    }
    const gone = (code?: number) => {
      if (!open) return
      shut()
      down(code)
    }
    const watch = setInterval(() => {
      if (!heard) return gone()
      heard = false
      if (ready) say({ type: 'ping' })
    }, silence)

    const add = (subscriber: Subscriber) => {
      if (!open || !subscribers.has(subscriber)) return
      if (subscriber.begun) subscriber.again()
      subscriber.begun = true
      const id = `${++ids}`
      running.set(id, subscriber)
      say({ id, type: 'subscribe', payload: body(subscriber.document, subscriber.variables()) })
    }
    const fail = (id: string, answer: Answer<unknown>) => {
      const subscriber = running.get(id)!
      const refused = refusal(answer)!
      running.delete(id)
      if (closeCode(refused)) gone(closeCode(refused))
      else if (!/^(UNAVAILABLE|OVERLOADED)$/.test(refused.code)) over(subscriber, refused)
      else setTimeout(add, backOff((subscriber.failures = (subscriber.failures ?? 0) + 1)), subscriber)
    }
    const take = ({ id, type, payload }: Frame) => {
      if (type === 'connection_ack') {
        ready = true
        up()
        for (const subscriber of subscribers) add(subscriber)
      }
      if (type === 'ping') say({ type: 'pong' })
      const subscriber = running.get(id)
      if (!subscriber) return
      const answer = payload as Answer<unknown>
      if (type === 'error') fail(id, { errors: payload } as Answer<unknown>)
      else if (type === 'complete') {
        running.delete(id)
        over(subscriber)
      } else if (answer.errors) fail(id, answer)
      else {
        subscriber.failures = 0
        subscriber.next(answer.data)
      }
    }
    socket.onopen = () => say({ type: 'connection_init', payload: { Authorization: `Bearer ${token}` } })
    socket.onmessage = ({ data }) => {
      if (!open) return
      heard = true
      try {
        take(JSON.parse(data as string) as Frame)
      } catch {
        gone()
      }
    }
    socket.onerror = () => {} // The close follows.
    socket.onclose = ({ code }) => gone(code)
    return {
      add,
      close: shut,
      remove: (subscriber) => {
        for (const [id, other] of running) {
          if (other !== subscriber) continue
          running.delete(id)
          if (socket.readyState === 1) say({ id, type: 'complete' })
        }
      },
    }
  }
