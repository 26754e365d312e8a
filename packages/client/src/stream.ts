// Server-Sent Events in the manner of a WebSocket: one request for each subscription.
import type { Frame, Socket } from './link.js'

export type Post = (
  body: object,
  token: string | null | undefined,
  accept: string,
  signal: AbortSignal,
) => Promise<Response>

/** The server sends at least a comment every 12 seconds. */
const silence = 30_000

/** Called with new, as a WebSocket is. */
export const streams = (post: Post) =>
  function () {
    const running = new Map<string, AbortController>()
    let token: string
    const tell = (frame: Frame) => socket.onmessage?.({ data: JSON.stringify(frame) })
    const listen = async (id: string, body: object, { signal }: AbortController, heard: () => void) => {
      const response = await post(body, token, 'text/event-stream', signal)
      if (!response.headers.get('Content-Type')?.includes('event-stream')) {
        const { errors } = (await response.json()) as { errors: unknown }
        return tell({ type: 'error', id, payload: errors })
      }
      tell({ type: 'connection_ack' })
      const reader = response.body!.getReader()
      const decoder = new TextDecoder()
      for (let buffer = ''; ;) {
        heard()
        const { done, value } = await reader.read()
        if (done) throw signal
        const frames = (buffer + decoder.decode(value, { stream: true })).split('\n\n')
        buffer = frames.pop()!
        for (const frame of frames) {
          if (signal.aborted) return
          if (frame.includes('event: complete')) return tell({ type: 'complete', id })
          const json = /^data: (.+)$/m.exec(frame)?.[1]
          if (json) tell({ type: 'next', id, payload: JSON.parse(json) })
        }
      }
    }
    const begin = async (id: string, body: object) => {
      const abort = new AbortController()
      let timer: ReturnType<typeof setTimeout> | undefined
      running.set(id, abort)
      const heard = () => {
        clearTimeout(timer)
        timer = setTimeout(() => abort.abort(), silence)
      }
      heard()
      try {
        await listen(id, body, abort, heard)
      } catch {
        // The end of one is the end of all: they share what lies between.
        if (running.get(id) === abort) socket.onclose?.({})
      }
      clearTimeout(timer)
      if (running.get(id) === abort) running.delete(id)
    }
    const stop = (id: string) => {
      const abort = running.get(id)
      running.delete(id)
      abort?.abort()
    }
    const socket: Socket = {
      readyState: 1,
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send(frame) {
        const { type, id, payload } = JSON.parse(frame) as Frame & { id: string; payload: { Authorization: string } }
        if (type === 'connection_init') {
          token = payload.Authorization.slice('Bearer '.length)
          tell({ type: 'ready' })
        }
        if (type === 'subscribe') begin(id, payload)
        if (type === 'complete') stop(id)
        if (type === 'ping') tell({ type: 'pong' })
      },
      close: () => [...running.keys()].forEach(stop),
    }
    queueMicrotask(() => socket.onopen?.())
    return socket
  }
