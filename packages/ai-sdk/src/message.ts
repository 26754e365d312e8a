// Messages of Parley as the AI SDK shows them.
import type { FinishReason, UIMessage } from 'ai'

/** What the server says about a message beside its text. */
export interface Details {
  model: string | null
  usage: { promptTokens: number; completionTokens: number; totalTokens: number } | null
  /** How many versions there are, and which of them this is, from 1. */
  siblingCount: number
  siblingPosition: number
}

export interface Metadata extends Partial<Details> {
  /** Parley's id of the message. */
  id: string
  conversationId: string
  /** How it ended: COMPLETED, STOPPED, FAILED or INTERRUPTED. Not there while it is written. */
  status?: string
  finishReason?: string | null
  error?: { code: string; message: string; retryable: boolean } | null
}

export type ParleyMessage = UIMessage<Metadata>

export interface Citation {
  url: string
  title: string | null
}

export interface Stored extends Details {
  id: string
  clientKey: string | null
  role: string
  status: string
  content: string
  reasoning: string
  finishReason: string | null
  error: { code: string; message: string; retryable: boolean } | null
  citations: Citation[]
}

export const detailFields = `model usage { promptTokens completionTokens totalTokens }
siblingCount siblingPosition citations { url title }`

export const storedFields = `id clientKey role status content reasoning finishReason error { code message retryable }
${detailFields}`

export const textOf = ({ parts }: ParleyMessage) =>
  parts.map((part) => (part.type === 'text' ? part.text : '')).join('')

export const isFinal = (status: string) => status !== 'STREAMING' && status !== 'QUEUED'

/** The address is what a model said: only links are links. */
export const sources = (citations: Citation[]) =>
  citations
    .filter(({ url }) => /^https?:\/\//i.test(url))
    .map(({ url, title }, index) => ({
      type: 'source-url' as const,
      sourceId: `${index + 1}`,
      url,
      ...(title && { title }),
    }))

/** Reasons of the AI SDK. What was stopped is not whole, and nothing follows it by itself. */
export function finishReasonOf({ status, finishReason }: Pick<Stored, 'status' | 'finishReason'>): FinishReason {
  if (status !== 'COMPLETED') return 'interrupted'
  return (finishReason?.toLowerCase().replace('_', '-') ?? 'other') as FinishReason
}

export function uiMessage(message: Stored, conversationId: string): ParleyMessage {
  const { id, clientKey, role, status, content, reasoning, citations, ...rest } = message
  const state = isFinal(status) ? 'done' : 'streaming'
  return {
    id,
    role: role.toLowerCase() as ParleyMessage['role'],
    metadata: { id, conversationId, ...rest, ...(isFinal(status) && { status }) },
    parts: [
      ...(reasoning ? [{ type: 'reasoning' as const, text: reasoning, state } as const] : []),
      ...(content ? [{ type: 'text' as const, text: content, state } as const] : []),
      ...sources(citations),
    ],
  }
}
