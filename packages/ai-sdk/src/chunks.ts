// A reply as the AI SDK takes it: chunks.
import { follow, Refused, type Followed, type Session } from '@parley/client'
import type { InferUIMessageChunk } from 'ai'
import { type Citation, type Details, detailFields, finishReasonOf, type ParleyMessage, sources } from './message.js'

export type Chunk = InferUIMessageChunk<ParleyMessage>

const document = `query ($id: ID!) { node(id: $id) { ... on Message { ${detailFields} } } }`

/** What is known when a reply is final. The reply is whole without it, so a server that is away is not waited for. */
async function detailsOf(session: Session, id: string): Promise<Partial<Details> & { citations: Citation[] }> {
  type Answer = { node: (Details & { citations: Citation[] }) | null }
  const answer = await session.run<Answer>(document, { id }, { patience: 5_000 }).catch(() => null)
  return answer?.node ?? { citations: [] }
}

/** Chunks that lead from one state of a text to the next. */
class Growth {
  #held = { reasoning: '', text: '' }
  #open = new Map<'reasoning' | 'text', string>()
  #parts = 0;

  *to({ reasoning, content: text }: Followed): Generator<Chunk> {
    const held = this.#held
    if (!reasoning.startsWith(held.reasoning) || !text.startsWith(held.text)) {
      // Another attempt says something else: what was shown of the former one goes.
      yield { type: 'reset-step' }
      this.#open.clear()
      this.#held = { reasoning: '', text: '' }
    }
    yield* this.#grow('reasoning', reasoning)
    if (text) yield* this.#end('reasoning')
    yield* this.#grow('text', text)
  }

  *end(): Generator<Chunk> {
    yield* this.#end('reasoning')
    yield* this.#end('text')
  }

  *#grow(type: 'reasoning' | 'text', whole: string): Generator<Chunk> {
    const delta = whole.slice(this.#held[type].length)
    if (!delta) return
    this.#held[type] = whole
    let id = this.#open.get(type)
    if (!id) {
      id = `${++this.#parts}`
      this.#open.set(type, id)
      yield { type: `${type}-start`, id }
    }
    yield { type: `${type}-delta`, id, delta }
  }

  *#end(type: 'reasoning' | 'text'): Generator<Chunk> {
    const id = this.#open.get(type)
    if (id) yield { type: `${type}-end`, id }
    this.#open.delete(type)
  }
}

/** A reply from its beginning to its end. One that failed is thrown as Refused, with the code of its error. */
export async function* chunks(
  session: Session,
  reply: { id: string; conversationId: string },
  signal: AbortSignal,
): AsyncGenerator<Chunk, void, undefined> {
  const { id, conversationId } = reply
  const growth = new Growth()
  let last: Followed | undefined
  for await (const next of follow(session, id, { signal })) {
    // Not before: the message is shown anew from here, and what was loaded of it is not to vanish for a moment.
    if (!last) {
      yield { type: 'start', messageId: id, messageMetadata: { id, conversationId } }
      yield { type: 'start-step' }
    }
    yield* growth.to((last = next))
  }
  if (signal.aborted || !last) return
  yield* growth.end()
  const { citations, ...details } = await detailsOf(session, id)
  yield* sources(citations)
  yield { type: 'finish-step' }
  const { status, finishReason, error } = last
  const messageMetadata = { id, conversationId, ...details, status, finishReason, error }
  if (status === 'FAILED' || status === 'INTERRUPTED') {
    yield { type: 'message-metadata', messageMetadata }
    const { code = status, message = 'The reply was cut off.', ...rest } = error ?? {}
    throw new Refused(code, message, rest)
  }
  yield { type: 'finish', finishReason: finishReasonOf(last), messageMetadata }
}

/** What is thrown comes behind the last chunk: chunks are made when they are asked for, and none waits. */
export function streamOf(
  make: (signal: AbortSignal) => AsyncGenerator<Chunk, void, undefined>,
  onEnd: () => void,
): ReadableStream<Chunk> {
  const abort = new AbortController()
  const made = make(abort.signal)
  return new ReadableStream<Chunk>(
    {
      async pull(controller) {
        const { value, done } = await made.next().catch((error) => {
          onEnd()
          throw error
        })
        if (abort.signal.aborted) return
        if (!done) return controller.enqueue(value)
        controller.close()
        onEnd()
      },
      cancel() {
        abort.abort()
        onEnd()
      },
    },
    { highWaterMark: 0 },
  )
}
