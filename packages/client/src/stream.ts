// A subscription over Server-Sent Events: one request for each.
import { type Dial, type Subscriber, closeCode } from './link.js'
import { type Answer, answerOf, refusal } from './refused.js'
import type { Body } from './socket.js'

/** The server sends at least a comment every 12 seconds. */
const silence = 30_000

export type Post = (body: object, token: string | null, accept: string, signal?: AbortSignal) => Promise<Response>

/** The pieces between empty lines. */
async function* frames(response: Response, heard: () => void): AsyncGenerator<string> {
  const reader = response.body!.getReader()
  const decoder = new TextDecoder()
  let buffer = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    heard()
    const whole = (buffer + decoder.decode(value, { stream: true })).split('\n\n')
    buffer = whole.pop()!
    yield* whole
  }
}

export const dialStream =
  (post: Post, body: Body): Dial =>
  (token, subscribers, { up, down, over }) => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const heard = () => {
      clearTimeout(timer)
      timer = setTimeout(() => abort.abort(), silence)
    }
    const take = (subscriber: Subscriber, answer: Answer<unknown>) => {
      const refused = refusal(answer)
      if (!refused) subscriber.next(answer.data)
      else if (closeCode(refused) || /^(UNAVAILABLE|OVERLOADED)$/.test(refused.code)) throw refused
      else over(subscriber, refused)
    }
    const read = async (subscriber: Subscriber) => {
      const request = body(subscriber.document, subscriber.variables())
      const response = await post(request, token, 'text/event-stream', abort.signal)
      if (!response.headers.get('Content-Type')?.includes('event-stream')) {
        return take(subscriber, await answerOf(response))
      }
      if (subscriber.begun) subscriber.again()
      subscriber.begun = true
      up()
      for await (const frame of frames(response, heard)) {
        if (frame.includes('event: complete')) return over(subscriber)
        const json = /^data: (.+)$/m.exec(frame)?.[1]
        if (json) take(subscriber, JSON.parse(json) as Answer<unknown>)
      }
    }
    const [subscriber] = subscribers
    heard()
    read(subscriber!)
      .catch((error) => error)
      .then((error) => {
        clearTimeout(timer)
        abort.abort()
        down(error && closeCode(error))
      })
    return { add() {}, remove: () => abort.abort(), close: () => abort.abort() }
  }
