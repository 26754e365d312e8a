// Subscriptions over one WebSocket: graphql-transport-ws.
import type { Dial, Subscriber } from './link.js'
import type { Answer } from './refused.js'

interface Frame {
  id: string
  type: string
  payload: unknown
}

/** How often the server is asked whether it is there, and how long it may be silent. */
const silence = 10_000

export const dialSocket =
  (Socket: typeof WebSocket, url: string): Dial =>
  (token, subscribers, up, down, answer, end) => {
    const running = new Map<string, Subscriber>()
    const socket = new Socket(url, 'graphql-transport-ws')
    let ids = 0
    let heard = false
    let ready = false
    const say = (type: string, payload?: object, id?: string) => {
      // A socket that closes complains in the console.
      if (socket.readyState === 1) socket.send(JSON.stringify({ id, type, payload }))
    }
    const begin = (subscriber: Subscriber) => {
      if (!ready) return
      const id = `${++ids}`
      running.set((subscriber.id = id), subscriber)
      say('subscribe', subscriber.request(), id)
    }
    const take = ({ id, type, payload }: Frame) => {
      if (type === 'connection_ack') {
        ready = true
        up()
        subscribers.forEach(begin)
      }
      if (type === 'ping') say('pong')
      const subscriber = running.get(id)
      if (!subscriber) return
      const next = type === 'next'
      // An error is the last of a subscription.
      if (!next || (payload as Answer<unknown>).errors) running.delete(id)
      if (type === 'complete') end(subscriber)
      else answer(subscriber, (next ? payload : { errors: payload }) as Answer<unknown>)
    }
    const watch = setInterval(() => {
      if (!heard) return down()
      heard = false
      if (ready) say('ping')
    }, silence)
    socket.onopen = () => say('connection_init', { Authorization: `Bearer ${token}` })
    socket.onmessage = ({ data }) => {
      heard = true
      try {
        take(JSON.parse(data as string) as Frame)
      } catch {
        down()
      }
    }
    socket.onerror = () => {} // The close follows.
    socket.onclose = ({ code }) => down(code)
    return {
      begin,
      stop({ id }) {
        if (running.delete(id!)) say('complete', undefined, id)
      },
      close() {
        clearInterval(watch)
        running.clear()
        ready = false
        socket.onmessage = null
        socket.close()
      },
    }
  }
