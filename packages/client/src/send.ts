import type { Refused } from './refused.js'
import { fields, replyOf, type Stored } from './text.js'
import type { OverloadedCode, RunOptions, SendInput, Sent, Session } from './types.js'

const document =
  'mutation($input:SendMessageInput!){sendMessage(input:$input)' + `{deduplicated userMessage{id}reply{${fields}}}`

interface Payload {
  sendMessage: { deduplicated: boolean; userMessage: { id: string }; reply: Stored }
}

/** Tells one message of a user from the others. It is no secret, and React Native has no crypto. */
const newKey = () => `${Date.now()}${Math.random()}`.replace('.', '-')

/** Sends a message, again with the same key while it is not known whether it has arrived. A Refused that is thrown has
 * the key in its extensions. */
export async function send(session: Session, input: SendInput, options: RunOptions = {}): Promise<Sent> {
  const { clientKey = newKey() } = input
  try {
    const { sendMessage } = await session.run<Payload>(
      document,
      { input: { ...input, clientKey } },
      { again: /^(UNAVAILABLE|OVERLOADED|RATE_LIMITED)$/, ...options },
    )
    const { userMessage, ...sent } = sendMessage
    const reply = replyOf(sent.reply)
    return {
      kind: 'sent',
      clientKey,
      ...sent,
      conversationId: reply.conversationId,
      userMessageId: userMessage.id,
      reply,
    }
  } catch (error) {
    const { code, extensions } = error as Refused
    if (!extensions) throw error
    const { messageId = null, headId = null, retryAfter } = extensions as Record<string, string>
    if (code === 'CONVERSATION_BUSY') return { kind: 'busy', clientKey, runningReplyId: messageId }
    if (code === 'STALE_HEAD') return { kind: 'stale', clientKey, headId }
    if (/^(OVERLOADED|RATE_LIMITED|QUOTA_EXCEEDED|QUEUE_FULL)$/.test(code)) {
      const retryAfterMs = retryAfter ? +retryAfter * 1_000 : null
      return { kind: 'overloaded', clientKey, code: code as OverloadedCode, retryAfterMs, extensions }
    }
    extensions.clientKey = clientKey
    throw error
  }
}
