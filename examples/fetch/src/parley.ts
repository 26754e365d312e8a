// A client of Parley in one file: operations by POST, events as Server-Sent Events,
// a token that is renewed, and a stream that finds its place again. It uses nothing
// but fetch, so it runs in browsers as it is.

export interface Session {
  accessToken: string
  refreshToken: string
}

export interface Message {
  id: string
  status: string // COMPLETED, FAILED, …: take values you do not know.
  content: string
  error: { code: string; message: string } | null
}

type MessageEvent =
  | { __typename: 'MessageSnapshot'; cursor: string; message: Message }
  | { __typename: 'MessageDelta'; cursor: string; offset: number; text: string }
  | { __typename: 'MessageFinished'; message: Message }

interface Answer<T> {
  data?: T | null
  errors?: { message: string; extensions?: { code?: string } }[]
}

/** A refusal. Its code is in docs/protocol.md. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message)
  }
}

/** The connection was lost, or the server is restarting: the same again may go well. */
class Lost extends Error {}

const tries = 10
/** The server sends at least a comment every 15 seconds; silence means a dead connection. */
const silence = 30_000

export class Parley {
  #session: Session | null = null
  #refreshing: Promise<void> | null = null

  constructor(readonly url: string) {}

  async signUp(input: { email: string; password: string; name: string }) {
    const document = `mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken refreshToken } }`
    this.#session = (await this.#operation<{ signUp: Session }>(document, { input }, null)).signUp
  }

  async signIn(input: { email: string; password: string }) {
    const document = `mutation ($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken } }`
    this.#session = (await this.#operation<{ signIn: Session }>(document, { input }, null)).signIn
  }

  /** Sends a message and returns the reply, which the server now writes by itself. */
  async send(content: string, conversationId: string | null = null): Promise<Message> {
    const document = `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) { reply { id status content error { code message } } }
    }`
    // One key for all tries: however often the send arrives, there is one reply.
    const input = { content, conversationId, clientKey: crypto.randomUUID() }
    const answer = await this.#authorized((token) =>
      this.#operation<{ sendMessage: { reply: Message } }>(document, { input }, token),
    )
    return answer.sendMessage.reply
  }

  /** Calls show with the text of a reply whenever it has grown, and returns the final message. */
  async follow(reply: Message, show: (content: string) => void): Promise<Message> {
    let content = reply.content
    let cursor: string | null = null // null: begin with a snapshot
    let failures = 0
    for (;;) {
      try {
        const final = await this.#authorized(async (token) => {
          for await (const event of this.#events(reply.id, cursor, token)) {
            failures = 0
            switch (event.__typename) {
              case 'MessageSnapshot': // replaces what you hold
                content = event.message.content
                cursor = event.cursor
                break
              case 'MessageDelta':
                if (content.length < event.offset) {
                  cursor = null // Something was lost: begin with a snapshot.
                  throw new Lost('a hole in the text')
                }
                content = content.slice(0, event.offset) + event.text
                cursor = event.cursor
                break
              case 'MessageFinished': // replaces it, too, and is the last one
                show(event.message.content)
                return event.message
              default: // Later versions have more kinds.
                continue
            }
            show(content)
          }
          throw new Lost('the stream ended before the reply')
        })
        return final
      } catch (error) {
        // The reply goes on without us. Come back, behind the last event we have.
        if (!(error instanceof Lost) || ++failures === tries) throw error
        await backOff(failures)
      }
    }
  }

  /** Runs work with the access token, and once more with the next one when it has ended. */
  async #authorized<T>(work: (token: string) => Promise<T>): Promise<T> {
    const session = this.#session
    if (!session) throw new Error('sign in first')
    try {
      return await work(session.accessToken)
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== 'UNAUTHENTICATED') throw error
      // A refresh token is good once, so whoever comes second waits for the first.
      if (this.#session === session) {
        this.#refreshing ??= this.#refresh(session.refreshToken).finally(() => (this.#refreshing = null))
        await this.#refreshing
      }
      return work(this.#session!.accessToken)
    }
  }

  async #refresh(refreshToken: string) {
    const document = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken } }`
    // Refused means that the session is over: show the form to sign in.
    this.#session = (
      await this.#operation<{ refreshSession: Session }>(document, { input: { refreshToken } }, null)
    ).refreshSession
  }

  /** Posts a query or mutation, again after a back-off when the connection is lost. */
  async #operation<T>(query: string, variables: object, token: string | null): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        const response = await this.#post({ query, variables }, token, 'application/json')
        return dataOf((await response.json().catch(lost)) as Answer<T>)
      } catch (error) {
        if (!(error instanceof Lost) || failures === tries) throw error
        await backOff(failures)
      }
    }
  }

  /** The events of a message as they come. Leaving the loop closes the connection. */
  async *#events(messageId: string, after: string | null, token: string): AsyncGenerator<MessageEvent> {
    const query = `subscription ($messageId: ID!, $after: String) {
      messageEvents(messageId: $messageId, after: $after) {
        __typename
        ... on MessageSnapshot { cursor message { id status content error { code message } } }
        ... on MessageDelta { cursor offset text }
        ... on MessageFinished { message { id status content error { code message } } }
      }
    }`
    const abort = new AbortController()
    let watchdog = setTimeout(() => abort.abort(), silence)
    try {
      const response = await this.#post(
        { query, variables: { messageId, after } },
        token,
        'text/event-stream',
        abort.signal,
      )
      if (!response.body || !response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
        dataOf((await response.json().catch(lost)) as Answer<object>)
        throw new Error(`not a stream: ${response.status}`)
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      let buffer = ''
      for (;;) {
        const { done, value } = await reader.read().catch(lost)
        if (done) return
        clearTimeout(watchdog)
        watchdog = setTimeout(() => abort.abort(), silence)
        const frames = (buffer + value).split('\n\n')
        buffer = frames.pop()! // what has not been sent to its end
        for (const frame of frames) {
          const lines = frame.split('\n')
          if (lines.includes('event: complete')) return
          const json = lines.find((line) => line.startsWith('data: '))?.slice(6)
          if (json) yield dataOf(JSON.parse(json) as Answer<{ messageEvents: MessageEvent }>).messageEvents
        }
      }
    } finally {
      clearTimeout(watchdog)
      abort.abort()
    }
  }

  async #post(
    body: object,
    token: string | null,
    accept: string,
    signal: AbortSignal | null = null,
  ): Promise<Response> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: accept,
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      signal,
    }).catch(lost)
    // A proxy in front of a server that restarts answers so, too.
    if (response.status >= 500) throw new Lost(`status ${response.status}`)
    return response
  }
}

function lost(error: unknown): never {
  throw new Lost('the connection was lost', { cause: error })
}

function dataOf<T>({ data, errors }: Answer<T>): T {
  const [error] = errors ?? []
  const code = error?.extensions?.code
  if (error && (code === 'UNAVAILABLE' || code === 'OVERLOADED')) throw new Lost(error.message)
  if (error) throw new Refused(error.message, code)
  return data!
}

/** Not at all after the first failure; then longer each time, and not as long as everybody else. */
async function backOff(failures: number): Promise<void> {
  if (failures === 1) return
  const longest = Math.min(10_000, 125 * 2 ** failures)
  await new Promise((done) => setTimeout(done, longest * (0.5 + Math.random() / 2)))
}
