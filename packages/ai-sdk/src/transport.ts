import { Refused, send, type SendInput, type Sent, type Session } from '@parley/client'
import type { ChatTransport } from 'ai'
import { type Chunk, chunks, streamOf } from './chunks.js'
import { isFinal, type ParleyMessage, type Stored, storedFields, textOf, uiMessage } from './message.js'
import { merged, touchedBy, watching, type Watched, type WatchEvent } from './watch.js'

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

interface Held {
  id: string
  text: string
  document: string
  input: object
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

const sentences = {
  busy: ['CONVERSATION_BUSY', 'A reply is being written: stop it or wait.'],
  stale: ['STALE_HEAD', 'The conversation has gone on elsewhere: load it again.'],
} as const

/** A send that the server has not taken, as an error with a code. */
function refusedBy(sent: Exclude<Sent, { kind: 'sent' }>): Refused {
  if (sent.kind === 'overloaded') {
    const { code, extensions } = sent
    return new Refused(code, 'The server cannot take this message now: try again later.', extensions)
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
  /** The last edit or regenerate, while it is not known that the server has taken it: again it is the same one. */
  #asked: Held | undefined
  /** What is read from here now, and how often something was: nobody else changes the messages meanwhile. */
  #streams = 0
  #begun = 0
  /** Called when nothing is read any more. */
  #idle = new Set<() => void>()
  #tell!: (conversationId: string) => void
  #known = new Promise<string>((tell) => (this.#tell = tell))

  constructor(options: TransportOptions) {
    this.#options = options
    this.#conversationId = options.conversationId ?? null
    if (options.conversationId) this.#tell(options.conversationId)
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
    return nodes.map((message) => this.#named(uiMessage(message, id), message.clientKey))
  }

  /** Shows in a chat what the server has, now and whenever that changes on another device, and resumes what is written
   * there. While something is written here it waits. onEnd is called when the conversation was deleted, or with what
   * the server refuses. Returns how to end it. */
  watch(chat: Watched, onEnd?: (error?: unknown) => void): () => void {
    const abort = new AbortController()
    const { signal } = abort
    const end = (error?: unknown) => {
      if (!signal.aborted) onEnd?.(error)
    }
    this.#watch(chat, signal).then(() => end(), end)
    return () => abort.abort()
  }

  async sendMessages(options: Options): Promise<ReadableStream<Chunk>> {
    // What useChat has stopped makes room first.
    this.#stopNow()
    const begun = this.#stopped.then(() => this.#begin(options))
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

  async #watch(chat: Watched, signal: AbortSignal) {
    const touched = new Set<string | null>()
    let reads = false
    const show = async () => {
      if (reads) return
      reads = true
      while (touched.size && (await this.#show(chat, touched, signal)));
      reads = false
    }
    const id = await this.#known
    this.#idle.add(show)
    try {
      type Event = { conversationEvents: WatchEvent }
      for await (const event of this.#options.session.subscribe<Event>(watching, { id }, { signal })) {
        const message = touchedBy(event.conversationEvents)
        if (message === undefined) continue
        touched.add(message)
        void show()
      }
    } finally {
      this.#idle.delete(show)
    }
  }

  /** Reads again when something was touched that is not shown as it is. False when that has to wait: for the end of
   * what is written here, or for the next event. */
  async #show(chat: Watched, touched: Set<string | null>, signal: AbortSignal) {
    const ready = () => !signal.aborted && !this.#streams && !this.#aborted.size && !this.#keeps(chat)
    if (!ready()) return false
    const asked = this.#knows(chat, touched) ? [] : [...touched]
    touched.clear()
    if (!asked.length) return true
    const begun = this.#begun
    await this.#stopped
    const newest = await this.load().catch(() => null)
    if (!newest || begun !== this.#begun || !ready()) {
      asked.forEach((id) => touched.add(id))
      return !!newest && ready()
    }
    const last = chat.messages.at(-1)
    // What was not taken stays, to be sent again.
    const unsent = last && this.#ids.get(last.id) === null ? [last] : []
    const messages = [...merged(chat.messages, newest), ...unsent]
    if (messages.length !== chat.messages.length || messages.some((message, i) => message !== chat.messages[i])) {
      chat.messages = messages
    }
    if (this.#loaded && !unsent.length) void chat.resumeStream()
    return true
  }

  /** Whether all that was touched is shown in its last state. */
  #knows({ messages }: Watched, touched: Set<string | null>) {
    const known = new Set(
      messages.flatMap(({ id, role, metadata }) => {
        return role === 'user' || metadata?.status ? [this.#idOf(id)] : []
      }),
    )
    return [...touched].every((id) => id && known.has(id))
  }

  /** An edit that was not taken is in the chat only. */
  #keeps = ({ status }: Watched) => status === 'error' && this.#asked?.document === editing

  async #running(id: string) {
    type Answer = { node: { runningReply: { id: string } | null; queuedReplies: { id: string }[] } | null }
    const { node } = await this.#options.session.run<Answer>(running, { id })
    return (node?.runningReply ?? node?.queuedReplies[0])?.id
  }

  #stream(begun: Promise<Begun>, abortSignal: AbortSignal | undefined): ReadableStream<Chunk> {
    const { session } = this.#options
    // Who has left before anything is read does not hear how it went.
    begun.catch(() => {})
    this.#begun++
    this.#streams++
    let reads = true
    const end = () => {
      if (reads) this.#streams--
      reads = false
      // What useChat does with the end comes first.
      setTimeout(() => this.#idle.forEach((show) => show()))
    }
    const aborted = () => {
      this.#onAbort(begun)
      end()
    }
    if (abortSignal?.aborted) aborted()
    else abortSignal?.addEventListener('abort', aborted, { once: true })
    return streamOf(async function* (signal) {
      yield* chunks(session, await begun, signal)
      abortSignal?.removeEventListener('abort', aborted)
    }, end)
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
    const text = textOf(last)
    const held = this.#asked
    const again =
      held?.id === last.id && held.text === text && (trigger !== 'submit-message' || held.document === editing)
    const asked = again ? held : { id: last.id, text, ...this.#question(last, trigger, messageId) }
    return this.#ask(last, (this.#asked = asked), body)
  }

  #question(last: ParleyMessage, trigger: Options['trigger'], messageId: string | undefined) {
    const clientKey = newKey()
    if (trigger === 'regenerate-message') {
      return { document: regenerating, input: { clientKey, messageId: this.#idOf(messageId ?? last.id) } }
    }
    if (last.role !== 'user') throw new Refused('BAD_USER_INPUT', 'There is no message to send.')
    return { document: editing, input: { clientKey, messageId: this.#idOf(last.id), content: textOf(last) } }
  }

  #idOf = (id: string) => this.#ids.get(id) ?? id

  #choices(body: object | undefined): SendOptions {
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
      ...this.#choices(body),
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

  async #ask(question: ParleyMessage, asked: Held, body: object | undefined): Promise<Begun> {
    const input = { ...this.#choices(body), ...asked.input }
    const [answer] = Object.values(await this.#options.session.run<Record<string, Asked>>(asked.document, { input }))
    const { conversation, userMessage, reply } = answer!
    this.#asked = undefined
    if (question.role === 'user') this.#ids.set(question.id, userMessage.id)
    this.#joined(conversation.id)
    return { id: reply.id, conversationId: conversation.id }
  }

  /** A message that was sent here keeps the AI SDK's id. */
  #named(message: ParleyMessage, clientKey: string | null): ParleyMessage {
    // After an edit here the id was that of another version.
    this.#ids.delete(message.id)
    if (!clientKey || !this.#ids.has(clientKey)) return message
    this.#ids.set(clientKey, message.id)
    return { ...message, id: clientKey }
  }

  #joined(id: string) {
    if (this.#conversationId) return
    this.#conversationId = id
    this.#options.onConversation?.(id)
    this.#tell(id)
  }
}
