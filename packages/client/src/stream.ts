// Subscriptions over Server-Sent Events: one request for each.
import type { Dial, Subscriber } from './link.js'
import type { Answer, answerOf } from './refused.js'

export type Post = (
  body: object,
  token: string | null | undefined,
  accept: string,
  signal?: AbortSignal | null,
) => Promise<Response>

/** The server sends at least a comment every 12 seconds. */
const silence = 30_000

export const dialStream =
  (post: Post, read: typeof answerOf): Dial =>
  (token, _, up, down, answer, end, fail) => {
    const running = new Map<Subscriber, AbortController>()
    const listen = async (subscriber: Subscriber, { signal }: AbortController, heard: () => void) => {
      const response = await post(subscriber.request(), token, 'text/event-stream', signal)
      if (!response.headers.get('Content-Type')?.includes('event-stream')) {
        return answer(subscriber, await read(response))
      }
      up()
      const reader = response.body!.getReader()
      const decoder = new TextDecoder()
      for (let buffer = ''; ;) {
        heard()
        const { done, value } = await reader.read()
        if (done) return down()
        const frames = (buffer + decoder.decode(value, { stream: true })).split('\n\n')
        buffer = frames.pop()!
        for (const frame of frames) {
          if (signal.aborted) return
          if (frame.includes('event: complete')) return end(subscriber)
          const json = /^data: (.+)$/m.exec(frame)?.[1]
          if (json) answer(subscriber, JSON.parse(json) as Answer<unknown>)
        }
      }
    }
    const begin = async (subscriber: Subscriber) => {
      const abort = new AbortController()
      let timer: ReturnType<typeof setTimeout> | undefined
      running.set(subscriber, abort)
      const heard = () => {
        clearTimeout(timer)
        timer = setTimeout(() => abort.abort(), silence)
      }
      heard()
      try {
        await listen(subscriber, abort, heard)
      } catch (error) {
        // The end of one is the end of all: they share what lies between.
        if (running.get(subscriber) === abort) fail(subscriber, error)
      }
      clearTimeout(timer)
    }
    const stop = (subscriber: Subscriber) => {
      const abort = running.get(subscriber)
      running.delete(subscriber)
      abort?.abort()
    }
    return { begin, stop, close: () => [...running.keys()].forEach(stop) }
  }
