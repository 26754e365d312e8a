import { Refused, send, type SendInput, type Sent, type Session } from '@parley/client'
import type { ChatTransport } from 'ai'
import { type Chunk, chunks, streamOf } from './chunks.js'
import { isFinal, type ParleyMessage, type Stored, storedFields, uiMessage } from './message.js'

/** How a reply is asked for. Also taken from `body` of useChat's sendMessage and regenerate, for one reply. */
export interface SendOptions extends Pick<SendInput, 'model' | 'parameters' | 'onBusy'> {}

export interface TransportOptions extends SendOptions {
  session: Session
  /** The conversation. Without one, the first message makes one. */
  conversationId?: string | null
  /** Called with the id of the conversation that the first message has made: for the address of the page. */
  onConversation?: (id: string) => void
  /** Called when a stop could not be brought to the server. */
  onStopFailed?: (error: unknown) => void
}

interface Begun {
  id: string
  conversationId: string
}

interface Asked {
  conversation: { id: string }
  userMessage: { id: string }
  reply: { id: string }
}

type Options = Parameters<ChatTransport<ParleyMessage>['sendMessages']>[0]

const asking = (name: string, type: string) => `mutation ($input: ${type}Input!) {
${name}(input: $input) { conversation { id } userMessage { id } reply { id } } }`

const regenerating = asking('regenerateReply', 'RegenerateReply')
const editing = asking('editMessage', 'EditMessage')
const stopping = 'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }'
const running = `query ($id: ID!) { node(id: $id) { ... on Conversation {
runningReply { id } queuedReplies { id } } } }`
const loading = `query ($id: ID!, $last: Int) { node(id: $id) { ... on Conversation {
messages(last: $last) { nodes { ${storedFields} } } } } }`

const newKey = () => Date.now().toString(36) + `${Math.random()}${Math.random()}`.replaceAll('0.', '-')

const textOf = ({ parts }: ParleyMessage) => parts.map((part) => (part.type === 'text' ? part.text : '')).join('')

const sentences = {
  busy: ['CONVERSATION_BUSY', 'A reply is being written: stop it or wait.'],
  stale: ['STALE_HEAD', 'The conversation has gone on elsewhere: load it again.'],
} as const

/** A send that the server has not taken, as an error with a code. */
function refusedBy(sent: Exclude<Sent, { kind: 'sent' }>): Refused {
  if (sent.kind === 'overloaded') {
    return new Refused(sent.code, 'The server cannot take this message now: try again later.', { ...sent })
  }
  const [code, message] = sentences[sent.kind]
  return new Refused(code, message, { ...sent })
}

/** One conversation for one chat of the AI SDK. */
export class ParleyTransport implements ChatTransport<ParleyMessage> {
  /** Each stream begins with what is there. */
  readonly resumeStreamIsReplay = true

  #options: TransportOptions
  #conversationId: string | null
  /** Messages of the user that were sent here have the AI SDK's ids: which they are on the server, null until it has
   * taken them. */
  #ids = new Map<string, string | null>()
  /** The reply that was being written when the messages were loaded. */
  #loaded: string | undefined
  /** What useChat has aborted in this turn of the event loop. */
  #aborted = new Map<ReturnType<typeof setTimeout>, () => void>()
  #stopped: Promise<unknown> = Promise.resolve()

  constructor(options: TransportOptions) {
    this.#options = options
    this.#conversationId = options.conversationId ?? null
  }

  /** Null until the first message has made one. */
  get conversationId() {
    return this.#conversationId
  }

  /** The newest messages of the conversation, at most 100, as `messages` of useChat. */
  async load({ last = 100 }: { last?: number } = {}): Promise<ParleyMessage[]> {
    const id = this.#conversationId
    if (!id) return []
    type Answer = { node: { messages?: { nodes: Stored[] } } | null }
    const { node } = await this.#options.session.run<Answer>(loading, { id, last })
    if (!node?.messages) throw new Refused('NOT_FOUND', 'There is no such conversation.')
    const { nodes } = node.messages
    this.#loaded = nodes.find(({ status }) => !isFinal(status))?.id
    return nodes.map((message) => uiMessage(message, id))
  }

  async sendMessages(options: Options): Promise<ReadableStream<Chunk>> {
    // What useChat has stopped makes room first.
    this.#stopNow()
    await this.#stopped
    const begun = this.#begin(options)
    return this.#stream(begun, options.abortSignal)
  }

  async reconnectToStream({
    abortSignal,
  }: {
    abortSignal?: AbortSignal | undefined
  }): Promise<ReadableStream<Chunk> | null> {
    // useChat aborts the stream that it resumes anew. That is no stop.
    this.close()
    const conversationId = this.#conversationId
    if (!conversationId) return null
    const id = this.#loaded ?? (await this.#running(conversationId))
    this.#loaded = undefined
    if (!id) return null
    return this.#stream(Promise.resolve({ id, conversationId }), abortSignal)
  }

  /** Leaves the chat: what is being written goes on on the server. Call it where the page goes away. What useChat
   * aborts in the same turn, as it does when React unmounts it, is no stop then. */
  close(): void {
    for (const timer of this.#aborted.keys()) clearTimeout(timer)
    this.#aborted.clear()
  }

  async #running(id: string) {
    type Answer = { node: { runningReply: { id: string } | null; queuedReplies: { id: string }[] } | null }
    const { node } = await this.#options.session.run<Answer>(running, { id })
    return (node?.runningReply ?? node?.queuedReplies[0])?.id
  }

  #stream(begun: Promise<Begun>, abortSignal: AbortSignal | undefined): ReadableStream<Chunk> {
    const { session } = this.#options
    // Who has left before anything is read does not hear how it went.
    begun.catch(() => {})
    const aborted = () => this.#onAbort(begun)
    if (abortSignal?.aborted) aborted()
    else abortSignal?.addEventListener('abort', aborted, { once: true })
    return streamOf(async function* (signal) {
      yield* chunks(session, await begun, signal)
      abortSignal?.removeEventListener('abort', aborted)
    })
  }

  /** A stop comes alone. An unmount calls close() in the same turn, and a page that is unloaded has no next one. */
  #onAbort(begun: Promise<Begun>) {
    const { session, onStopFailed } = this.#options
    const stop = async () => {
      // One that is not sent cannot be stopped. One whose answer is on its way is.
      const reply = await begun.catch(() => null)
      if (reply) await session.run(stopping, { id: reply.id }).catch((error) => onStopFailed?.(error))
    }
    const timer = setTimeout(() => this.#stopNow())
    this.#aborted.set(timer, () => (this.#stopped = Promise.all([this.#stopped, stop()])))
  }

  #stopNow() {
    const stops = [...this.#aborted.values()]
    this.close()
    for (const stop of stops) stop()
  }

  #begin({ trigger, messageId, messages, body }: Options): Promise<Begun> {
    const last = messages.at(-1)
    if (!last) throw new Refused('BAD_USER_INPUT', 'There is no message to send.')
    // Also "try again" for one that the server has not taken.
    if (last.role === 'user' && (trigger === 'submit-message' ? !messageId : false)) return this.#send(messages, body)
    if (this.#ids.get(last.id) === null) return this.#send(messages, body)
    const input = { ...this.#asked(body), clientKey: newKey() }
    if (trigger === 'regenerate-message') {
      return this.#ask(last, regenerating, { ...input, messageId: this.#idOf(messageId ?? last.id) })
    }
    if (last.role !== 'user') throw new Refused('BAD_USER_INPUT', 'There is no message to send.')
    return this.#ask(last, editing, { ...input, messageId: this.#idOf(last.id), content: textOf(last) })
  }

  #idOf = (id: string) => this.#ids.get(id) ?? id

  #asked(body: object | undefined): SendOptions {
    const { model, parameters, onBusy } = { ...this.#options, ...body }
    return JSON.parse(JSON.stringify({ model, parameters, onBusy })) as SendOptions
  }

  async #send(messages: ParleyMessage[], body: object | undefined): Promise<Begun> {
    const message = messages.at(-1)!
    if (message.parts.some(({ type }) => type === 'file')) {
      throw new Refused('BAD_USER_INPUT', 'Files cannot be sent yet.')
    }
    this.#ids.set(message.id, null)
    // The last one that the server has: it says when somebody has gone on behind it.
    const shown = messages.slice(0, -1).findLast(({ id }) => this.#ids.get(id) !== null)
    const sent = await send(this.#options.session, {
      ...this.#asked(body),
      content: textOf(message),
      clientKey: message.id,
      conversationId: this.#conversationId,
      ...(shown && { expectedHeadId: this.#idOf(shown.id) }),
    })
    if (sent.kind !== 'sent') throw refusedBy(sent)
    this.#ids.set(message.id, sent.userMessageId)
    this.#joined(sent.conversationId)
    return sent.reply
  }

  async #ask(question: ParleyMessage, document: string, input: object): Promise<Begun> {
    const [answer] = Object.values(await this.#options.session.run<Record<string, Asked>>(document, { input }))
    const { conversation, userMessage, reply } = answer!
    if (question.role === 'user') this.#ids.set(question.id, userMessage.id)
    this.#joined(conversation.id)
    return { id: reply.id, conversationId: conversation.id }
  }

  #joined(id: string) {
    if (this.#conversationId) return
    this.#conversationId = id
    this.#options.onConversation?.(id)
  }
}
