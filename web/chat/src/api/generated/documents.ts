/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode } from 'urql';
/** Input of changePassword. */
export type ChangePasswordInput = {
  /** The current password. */
  currentPassword: string;
  /** 8 to 128 characters, not a common password. */
  newPassword: string;
};

/**
 * What is sent when a conversation is longer than the model's context. Clients must accept
 * unknown values.
 */
export type ContextPolicy =
  /** Everything. The model server may refuse, and then the newest half is sent once more. */
  | 'FULL'
  /** The newest turns, so many, as far as they fit. */
  | 'LAST_N'
  /** A summary of what does not fit, and the newest turns. */
  | 'SUMMARIZE'
  /** The newest turns that fit. */
  | 'TRUNCATE'
  | '%future added value';

/** How it is to be chosen what of a conversation a model is sent. */
export type ContextSettingsInput = {
  /**
   * A limit to keep to, in tokens, at least 256. Where the model's own is lower, that one
   * holds. Not with FULL.
   */
  limitTokens?: number | null | undefined;
  /** The policy. */
  policy: ContextPolicy;
  /** How many turns are sent, 1 to 1000; required with LAST_N, and for that only. */
  turns?: number | null | undefined;
};

/**
 * Input of continueReply. There is no onBusy: the reply is the last message that is shown, and
 * final, so nothing is being written in its conversation.
 */
export type ContinueReplyInput = {
  /** Makes repeats harmless, as in SendMessageInput. A key serves one operation. */
  clientKey?: string | null | undefined;
  /**
   * The last message that you have shown. Refuse with STALE_HEAD when the conversation has
   * moved on since.
   */
  expectedHeadId?: string | null | undefined;
  /**
   * A reply that was cut off: STOPPED, INTERRUPTED or FAILED with some text, or COMPLETED with
   * the finish reason LENGTH. It must be the last message that is shown.
   */
  messageId: string;
  /** The model that goes on. Without one, the one that had begun. */
  model?: string | null | undefined;
  /** Parameters for this reply. They override those of the conversation. */
  parameters?: ParametersInput | null | undefined;
  /** Answer when the reply is final, not at once, as in SendMessageInput. */
  wait?: boolean | null | undefined;
};

/** Who chose a conversation's name. */
export type ConversationNameSource =
  /** A model wrote the name. */
  | 'AUTO'
  /** The name was taken from the first message. */
  | 'PLACEHOLDER'
  /** The user chose the name. No model names it anew, unless the user asks for that. */
  | 'USER'
  | '%future added value';

/** Input of createConversation. Every field may be left out. */
export type CreateConversationInput = {
  /** How it is to be chosen what a model is sent. Without it: as for the model, or the server. */
  context?: ContextSettingsInput | null | undefined;
  /** One of the models. Without one, the server's default answers. */
  model?: string | null | undefined;
  /** At most 200 characters. Without a name, the first message gives one. */
  name?: string | null | undefined;
  /** The parameters of the model. */
  parameters?: ParametersInput | null | undefined;
  /**
   * What the model is told before everything else, at most 32 KiB unless the server is
   * configured otherwise.
   */
  systemPrompt?: string | null | undefined;
};

/** Input of deleteConversation. */
export type DeleteConversationInput = {
  /** The conversation. */
  conversationId: string;
};

/** Input of deleteMessage. */
export type DeleteMessageInput = {
  /** The message. It goes with all that follows it on any branch. */
  messageId: string;
};

/** Input of deleteSummary. */
export type DeleteSummaryInput = {
  /** The summary. */
  summaryId: string;
};

/** Input of editMessage. */
export type EditMessageInput = {
  /** Makes repeats harmless, as in SendMessageInput. A key serves one operation. */
  clientKey?: string | null | undefined;
  /** The new text, 1 byte to 32 KiB unless the server is configured otherwise. */
  content: string;
  /**
   * The last message that you have shown. Refuse with STALE_HEAD when the conversation has
   * moved on since.
   */
  expectedHeadId?: string | null | undefined;
  /** A question. */
  messageId: string;
  /** The model for the reply. Without one, the conversation's model answers. */
  model?: string | null | undefined;
  /**
   * REJECT or INTERRUPT: what to do when a reply is still being written. Null means the
   * default.
   */
  onBusy?: OnBusy | null | undefined;
  /** Parameters for this reply. They override those of the conversation. */
  parameters?: ParametersInput | null | undefined;
  /** Answer when the reply is final, not at once, as in SendMessageInput. */
  wait?: boolean | null | undefined;
};

/** Why a model stopped. */
export type FinishReason =
  /** The model server withheld some of the content. */
  | 'CONTENT_FILTER'
  /** The reply reached maxTokens, or the model's context is full. */
  | 'LENGTH'
  /** The model was done, or it reached a stop text. */
  | 'STOP'
  /** The model asked for a tool. */
  | 'TOOL_CALLS'
  | '%future added value';

/** Input of forkConversation. */
export type ForkConversationInput = {
  /** Makes repeats harmless, as in SendMessageInput. A key serves one operation. */
  clientKey?: string | null | undefined;
  /** The last message to copy. */
  messageId: string;
  /** The name, at most 200 characters. Without one, the old name. */
  name?: string | null | undefined;
  /** How much to copy. Null means the default. */
  scope?: ForkScope | null | undefined;
};

/** How much a fork copies. */
export type ForkScope =
  /** The line from the beginning to the message. */
  | 'LINE'
  /** All branches of the conversation. */
  | 'TREE'
  | '%future added value';

/** Who wrote the message. */
export type MessageRole =
  /** The model. */
  | 'ASSISTANT'
  /** The system prompt. */
  | 'SYSTEM'
  /** The user. */
  | 'USER'
  | '%future added value';

/** The state of a message. A message in one of the last four never changes its state again. */
export type MessageStatus =
  /** The message is complete. Messages of the user are, unless they were cancelled. */
  | 'COMPLETED'
  /** The reply failed, see error. The text so far stays. */
  | 'FAILED'
  /** The server died during the reply. The text so far stays. */
  | 'INTERRUPTED'
  /** The reply waits for the one before it. */
  | 'QUEUED'
  /**
   * The reply was stopped, and the text so far stays. A message of the user is STOPPED
   * when its reply was cancelled while it waited: no model ever saw it.
   */
  | 'STOPPED'
  /** The reply is being written. */
  | 'STREAMING'
  | '%future added value';

/** A kind of output that cannot be kept yet. Clients must accept unknown values. */
export type OmittedOutput =
  /** Sound. */
  | 'AUDIO'
  /** A picture. */
  | 'IMAGE'
  /** Something else than text. */
  | 'OTHER'
  | '%future added value';

/** What to do when a reply is still being written in the conversation. */
export type OnBusy =
  /**
   * Stop the reply that is being written, cancel those that wait, and write this one next.
   * The text so far stays.
   */
  | 'INTERRUPT'
  /**
   * Store both messages. The reply is QUEUED, and is written when the replies before it
   * have ended, however they end. At most 10 replies wait in a conversation, more are
   * refused with QUEUE_FULL.
   */
  | 'QUEUE'
  /** Refuse with CONVERSATION_BUSY and write nothing. */
  | 'REJECT'
  | '%future added value';

/** Parameters of a model. What is left out is not sent to the model server. */
export type ParametersInput = {
  /** -2 to 2. Above 0, words become less likely the more often they were used. */
  frequencyPenalty?: number | null | undefined;
  /** The most tokens that a reply may have, 1 to 1048576. */
  maxTokens?: number | null | undefined;
  /** -2 to 2. Above 0, words that were used already become less likely. */
  presencePenalty?: number | null | undefined;
  /** How long the model thinks before it answers, where it can be told. */
  reasoningEffort?: ReasoningEffort | null | undefined;
  /** The format that the reply must have. */
  responseFormat?: ResponseFormatInput | null | undefined;
  /** Equal requests with the same seed give equal replies, as far as the model can do that. */
  seed?: number | null | undefined;
  /** At most 4 texts at which the model stops. */
  stop?: Array<string> | null | undefined;
  /** 0 to 2. Higher values give more surprising text. 0 is sent as 0. */
  temperature?: number | null | undefined;
  /** 0 to 1. The model chooses among the likeliest tokens that make up this share. */
  topP?: number | null | undefined;
  /** How long the reply is, where the model can be told. */
  verbosity?: Verbosity | null | undefined;
};

/** How long a model thinks before it answers. Clients must accept unknown values. */
export type ReasoningEffort =
  /** Much. */
  | 'HIGH'
  /** A little. */
  | 'LOW'
  /** As usual. */
  | 'MEDIUM'
  /** As little as possible. */
  | 'MINIMAL'
  /** Not at all. */
  | 'NONE'
  | '%future added value';

/** Input of regenerateName. */
export type RegenerateNameInput = {
  /** The conversation. */
  conversationId: string;
};

/** Input of regenerateReply. */
export type RegenerateReplyInput = {
  /** Makes repeats harmless, as in SendMessageInput. A key serves one operation. */
  clientKey?: string | null | undefined;
  /**
   * The last message that you have shown. Refuse with STALE_HEAD when the conversation has
   * moved on since.
   */
  expectedHeadId?: string | null | undefined;
  /** A reply, or a question to be answered, again or at all. */
  messageId: string;
  /** The model for this reply. Without one, the conversation's model answers. */
  model?: string | null | undefined;
  /**
   * REJECT or INTERRUPT: what to do when a reply is still being written. Null means the
   * default.
   */
  onBusy?: OnBusy | null | undefined;
  /** Parameters for this reply. They override those of the conversation. */
  parameters?: ParametersInput | null | undefined;
  /** Answer when the reply is final, not at once, as in SendMessageInput. */
  wait?: boolean | null | undefined;
};

/** The format that a reply must have. */
export type ResponseFormatInput = {
  /** 1 to 64 letters, digits, _ or -; required with JSON_SCHEMA. */
  name?: string | null | undefined;
  /** A JSON Schema as text, at most 16 KiB; required with JSON_SCHEMA. */
  schema?: string | null | undefined;
  /** Whether the model must follow the schema exactly. */
  strict?: boolean | null | undefined;
  /** The kind of format. */
  type: ResponseFormatType;
};

/** The kind of format that a reply must have. */
export type ResponseFormatType =
  /** One JSON object. */
  | 'JSON_OBJECT'
  /** JSON that matches a schema. */
  | 'JSON_SCHEMA'
  /** Any text. */
  | 'TEXT'
  | '%future added value';

/** Input of selectBranch. */
export type SelectBranchInput = {
  /**
   * The last message that you have shown. Refuse with STALE_HEAD when the conversation has
   * moved on since.
   */
  expectedHeadId?: string | null | undefined;
  /** A message that the line is to go through. */
  messageId: string;
};

/** Input of stopReply. */
export type StopReplyInput = {
  /** The reply. */
  messageId: string;
};

/** Input of summarizeConversation. */
export type SummarizeConversationInput = {
  /** The conversation. */
  conversationId: string;
};

/**
 * Input of updateConversation. What is left out stays as it is; null clears a field where
 * that has a meaning. Clients that send every field of their types must therefore leave
 * out what they do not mean to change (omitempty in genqlient).
 */
export type UpdateConversationInput = {
  /** True archives it, false brings it back. So does the next message in it. */
  archived?: boolean | null | undefined;
  /**
   * Replaces how it is chosen what a model is sent, from the next reply on. Null: as for the
   * model, or the server.
   */
  context?: ContextSettingsInput | null | undefined;
  /** The conversation. */
  conversationId: string;
  /** One of the models. Null: the server's default. */
  model?: string | null | undefined;
  /** At most 200 characters. Null or empty: the first message gives the name again. */
  name?: string | null | undefined;
  /** Replaces all parameters. Null: none. */
  parameters?: ParametersInput | null | undefined;
  /** Whether it belongs at the top of lists. */
  pinned?: boolean | null | undefined;
  /**
   * At most 32 KiB unless the server is configured otherwise. It applies from the next reply
   * on. Null: none.
   */
  systemPrompt?: string | null | undefined;
};

/** Input of updateMessage. */
export type UpdateMessageInput = {
  /** The corrected text, 1 byte to 256 KiB. */
  content: string;
  /** A message that is final, and not the system prompt. */
  messageId: string;
};

/** How long a reply is. Clients must accept unknown values. */
export type Verbosity =
  /** Long. */
  | 'HIGH'
  /** Short. */
  | 'LOW'
  /** As usual. */
  | 'MEDIUM'
  | '%future added value';

export type EmptyTalksQueryVariables = Exact<{ [key: string]: never; }>;


export type EmptyTalksQuery = { __typename: 'Query', conversations: { __typename: 'ConversationConnection', nodes: Array<{ __typename: 'Conversation', id: string, createdAt: string, lastMessageAt: string, model: string | null, systemPrompt: string | null, messages: { __typename: 'MessageConnection', nodes: Array<{ __typename: 'Message', id: string }> }, parameters: { __typename: 'Parameters', temperature: number | null, topP: number | null, maxTokens: number | null, stop: Array<string> | null, seed: number | null, presencePenalty: number | null, frequencyPenalty: number | null, reasoningEffort: ReasoningEffort | null, verbosity: Verbosity | null, responseFormat: { __typename: 'ResponseFormat', type: ResponseFormatType, name: string | null, schema: string | null, strict: boolean } | null } | null, contextSettings: { __typename: 'ContextSettings', policy: ContextPolicy, turns: number | null, limitTokens: number | null } | null }> } };

export type CreateTalkMutationVariables = Exact<{
  input: CreateConversationInput;
}>;


export type CreateTalkMutation = { __typename: 'Mutation', createConversation: { __typename: 'CreateConversationPayload', conversation: { __typename: 'Conversation', id: string } } };

export type EditQuestionMutationVariables = Exact<{
  input: EditMessageInput;
}>;


export type EditQuestionMutation = { __typename: 'Mutation', editMessage: { __typename: 'EditMessagePayload', conversation: { __typename: 'Conversation', id: string, headId: string }, userMessage: { __typename: 'Message', id: string }, reply: { __typename: 'Message', id: string } } };

export type CorrectQuestionMutationVariables = Exact<{
  input: UpdateMessageInput;
}>;


export type CorrectQuestionMutation = { __typename: 'Mutation', updateMessage: { __typename: 'UpdateMessagePayload', message: { __typename: 'Message', id: string, content: string, editedAt: string | null } } };

export type StopReplyMutationVariables = Exact<{
  input: StopReplyInput;
}>;


export type StopReplyMutation = { __typename: 'Mutation', stopReply: { __typename: 'StopReplyPayload', message: { __typename: 'Message', id: string, status: MessageStatus, content: string } } };

export type LastQuestionQueryVariables = Exact<{
  id: string;
}>;


export type LastQuestionQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, messages: { __typename: 'MessageConnection', nodes: Array<{ __typename: 'Message', id: string, role: MessageRole, content: string, status: MessageStatus }> } } | null };

export type QueuedOfQueryVariables = Exact<{
  id: string;
}>;


export type QueuedOfQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, queuedReplies: Array<{ __typename: 'Message', id: string, status: MessageStatus, parent: { __typename: 'Message', id: string, content: string } | null }> } | null };

export type ConversationRowFragment = { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> };

export type ChangeRowMutationVariables = Exact<{
  input: UpdateConversationInput;
}>;


export type ChangeRowMutation = { __typename: 'Mutation', updateConversation: { __typename: 'UpdateConversationPayload', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } } };

export type NameRowMutationVariables = Exact<{
  input: RegenerateNameInput;
}>;


export type NameRowMutation = { __typename: 'Mutation', regenerateName: { __typename: 'RegenerateNamePayload', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } } };

export type DeleteRowMutationVariables = Exact<{
  input: DeleteConversationInput;
}>;


export type DeleteRowMutation = { __typename: 'Mutation', deleteConversation: { __typename: 'DeleteConversationPayload', conversationId: string } };

export type ConversationsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  archived?: boolean | null | undefined;
  pinned?: boolean | null | undefined;
}>;


export type ConversationsQuery = { __typename: 'Query', conversations: { __typename: 'ConversationConnection', edges: Array<{ __typename: 'ConversationEdge', cursor: string, node: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } }>, pageInfo: { __typename: 'PageInfo', hasNextPage: boolean, endCursor: string | null } } };

export type ViewerEventsSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type ViewerEventsSubscription = { __typename: 'Subscription', viewerEvents:
    | { __typename: 'ConversationCreated', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } }
    | { __typename: 'ConversationDeleted', conversationId: string }
    | { __typename: 'ConversationUpdated', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } }
    | { __typename: 'ViewerReady', viewer: { __typename: 'User', id: string } }
   };

export type ParametersAllFragment = { __typename: 'Parameters', temperature: number | null, topP: number | null, maxTokens: number | null, stop: Array<string> | null, seed: number | null, presencePenalty: number | null, frequencyPenalty: number | null, reasoningEffort: ReasoningEffort | null, verbosity: Verbosity | null, responseFormat: { __typename: 'ResponseFormat', type: ResponseFormatType, name: string | null, schema: string | null, strict: boolean } | null };

export type TalkChoicesFragment = { __typename: 'Conversation', model: string | null, systemPrompt: string | null, parameters: { __typename: 'Parameters', temperature: number | null, topP: number | null, maxTokens: number | null, stop: Array<string> | null, seed: number | null, presencePenalty: number | null, frequencyPenalty: number | null, reasoningEffort: ReasoningEffort | null, verbosity: Verbosity | null, responseFormat: { __typename: 'ResponseFormat', type: ResponseFormatType, name: string | null, schema: string | null, strict: boolean } | null } | null, contextSettings: { __typename: 'ContextSettings', policy: ContextPolicy, turns: number | null, limitTokens: number | null } | null };

export type TalkSettingsFragment = { __typename: 'Conversation', id: string, name: string, nameSource: ConversationNameSource, model: string | null, systemPrompt: string | null, parameters: { __typename: 'Parameters', temperature: number | null, topP: number | null, maxTokens: number | null, stop: Array<string> | null, seed: number | null, presencePenalty: number | null, frequencyPenalty: number | null, reasoningEffort: ReasoningEffort | null, verbosity: Verbosity | null, responseFormat: { __typename: 'ResponseFormat', type: ResponseFormatType, name: string | null, schema: string | null, strict: boolean } | null } | null, contextSettings: { __typename: 'ContextSettings', policy: ContextPolicy, turns: number | null, limitTokens: number | null } | null };

export type ModelsQueryVariables = Exact<{ [key: string]: never; }>;


export type ModelsQuery = { __typename: 'Query', models: Array<{ __typename: 'Model', name: string, description: string | null, isDefault: boolean, contextTokens: number | null }> };

export type TalkSettingsOfQueryVariables = Exact<{
  id: string;
}>;


export type TalkSettingsOfQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, name: string, nameSource: ConversationNameSource, model: string | null, systemPrompt: string | null, parameters: { __typename: 'Parameters', temperature: number | null, topP: number | null, maxTokens: number | null, stop: Array<string> | null, seed: number | null, presencePenalty: number | null, frequencyPenalty: number | null, reasoningEffort: ReasoningEffort | null, verbosity: Verbosity | null, responseFormat: { __typename: 'ResponseFormat', type: ResponseFormatType, name: string | null, schema: string | null, strict: boolean } | null } | null, contextSettings: { __typename: 'ContextSettings', policy: ContextPolicy, turns: number | null, limitTokens: number | null } | null } | null };

export type TalkModelQueryVariables = Exact<{
  id: string;
}>;


export type TalkModelQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, model: string | null } | null };

export type ContextUseOfQueryVariables = Exact<{
  id: string;
}>;


export type ContextUseOfQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, headId: string, contextUse: { __typename: 'ContextUse', usedTokens: number, measured: boolean, limitTokens: number | null, reservedTokens: number, droppedCount: number }, messages: { __typename: 'MessageConnection', nodes: Array<{ __typename: 'Message', id: string, role: MessageRole, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, messageCount: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string, model: string | null, createdAt: string } | null } | null }> } } | null };

export type SaveTalkSettingsMutationVariables = Exact<{
  input: UpdateConversationInput;
}>;


export type SaveTalkSettingsMutation = { __typename: 'Mutation', updateConversation: { __typename: 'UpdateConversationPayload', conversation: { __typename: 'Conversation', id: string, name: string, nameSource: ConversationNameSource, model: string | null, systemPrompt: string | null, parameters: { __typename: 'Parameters', temperature: number | null, topP: number | null, maxTokens: number | null, stop: Array<string> | null, seed: number | null, presencePenalty: number | null, frequencyPenalty: number | null, reasoningEffort: ReasoningEffort | null, verbosity: Verbosity | null, responseFormat: { __typename: 'ResponseFormat', type: ResponseFormatType, name: string | null, schema: string | null, strict: boolean } | null } | null, contextSettings: { __typename: 'ContextSettings', policy: ContextPolicy, turns: number | null, limitTokens: number | null } | null } } };

export type RenameByModelMutationVariables = Exact<{
  input: RegenerateNameInput;
}>;


export type RenameByModelMutation = { __typename: 'Mutation', regenerateName: { __typename: 'RegenerateNamePayload', conversation: { __typename: 'Conversation', id: string, name: string, nameSource: ConversationNameSource } } };

export type SummarizeTalkMutationVariables = Exact<{
  input: SummarizeConversationInput;
}>;


export type SummarizeTalkMutation = { __typename: 'Mutation', summarizeConversation: { __typename: 'SummarizeConversationPayload', summary: { __typename: 'Summary', id: string, content: string, model: string | null, createdAt: string } | null } };

export type DropSummaryMutationVariables = Exact<{
  input: DeleteSummaryInput;
}>;


export type DropSummaryMutation = { __typename: 'Mutation', deleteSummary: { __typename: 'DeleteSummaryPayload', summaryId: string } };

export type TalkMessageFragment = { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null };

export type TalkEdgeFragment = { __typename: 'MessageEdge', cursor: string, node: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } };

export type TalkHeadFragment = { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> };

export type TalkQueryVariables = Exact<{
  id: string;
  last: number;
}>;


export type TalkQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, messages: { __typename: 'MessageConnection', edges: Array<{ __typename: 'MessageEdge', cursor: string, node: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } }>, pageInfo: { __typename: 'PageInfo', hasPreviousPage: boolean } }, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } | null };

export type TalkOlderQueryVariables = Exact<{
  id: string;
  last: number;
  before: string;
}>;


export type TalkOlderQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, messages: { __typename: 'MessageConnection', edges: Array<{ __typename: 'MessageEdge', cursor: string, node: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } }>, pageInfo: { __typename: 'PageInfo', hasPreviousPage: boolean } } } | null };

export type TalkNewerQueryVariables = Exact<{
  id: string;
  first: number;
  after: string;
}>;


export type TalkNewerQuery = { __typename: 'Query', conversation: { __typename: 'Conversation', id: string, messages: { __typename: 'MessageConnection', edges: Array<{ __typename: 'MessageEdge', cursor: string, node: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } }>, pageInfo: { __typename: 'PageInfo', hasNextPage: boolean } } } | null };

export type TalkEventsSubscriptionVariables = Exact<{
  id: string;
}>;


export type TalkEventsSubscription = { __typename: 'Subscription', conversationEvents:
    | { __typename: 'ConversationDeleted', conversationId: string }
    | { __typename: 'ConversationSnapshot', fromIndex: number | null, conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } }
    | { __typename: 'ConversationUpdated', conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } }
    | { __typename: 'MessageAdded', edge: { __typename: 'MessageEdge', cursor: string, node: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } } }
    | { __typename: 'MessageDelta', offset: number, text: string, message: { __typename: 'Message', id: string, attempt: number } }
    | { __typename: 'MessageFinished', message: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, parent: { __typename: 'Message', id: string, sentToModel: boolean } | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } }
    | { __typename: 'MessageReasoningDelta', offset: number, text: string, message: { __typename: 'Message', id: string, attempt: number } }
    | { __typename: 'MessageSnapshot', message: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } }
   };

export type VersionsQueryVariables = Exact<{
  id: string;
}>;


export type VersionsQuery = { __typename: 'Query', node:
    | { __typename: 'Conversation' }
    | { __typename: 'Message', id: string, siblings: { __typename: 'MessageConnection', nodes: Array<{ __typename: 'Message', id: string }> } }
    | { __typename: 'Summary' }
    | { __typename: 'User' }
   | null };

export type SelectVersionMutationVariables = Exact<{
  input: SelectBranchInput;
}>;


export type SelectVersionMutation = { __typename: 'Mutation', selectBranch: { __typename: 'SelectBranchPayload', fromIndex: number | null, conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } } };

export type RegenerateMutationVariables = Exact<{
  input: RegenerateReplyInput;
}>;


export type RegenerateMutation = { __typename: 'Mutation', regenerateReply: { __typename: 'RegenerateReplyPayload', conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> }, reply: { __typename: 'Message', id: string } } };

export type ContinueReplyMutationVariables = Exact<{
  input: ContinueReplyInput;
}>;


export type ContinueReplyMutation = { __typename: 'Mutation', continueReply: { __typename: 'ContinueReplyPayload', conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> }, reply: { __typename: 'Message', id: string } } };

export type CorrectMessageMutationVariables = Exact<{
  input: UpdateMessageInput;
}>;


export type CorrectMessageMutation = { __typename: 'Mutation', updateMessage: { __typename: 'UpdateMessagePayload', message: { __typename: 'Message', id: string, index: number, role: MessageRole, clientKey: string | null, content: string, reasoning: string, status: MessageStatus, finishReason: FinishReason | null, model: string | null, sentToModel: boolean, droppedParameters: Array<string>, omittedOutput: Array<OmittedOutput>, reasoningMs: number | null, firstTokenMs: number | null, attempt: number, editedAt: string | null, siblingCount: number, siblingPosition: number, createdAt: string, finishedAt: string | null, error: { __typename: 'MessageError', code: string, message: string, retryable: boolean } | null, usage: { __typename: 'Usage', promptTokens: number, completionTokens: number, cachedTokens: number | null, reasoningTokens: number | null, estimated: boolean } | null, context: { __typename: 'MessageContext', policy: ContextPolicy, fromIndex: number, droppedCount: number, limitTokens: number | null, cutByServer: boolean, summary: { __typename: 'Summary', id: string, content: string } | null } | null, citations: Array<{ __typename: 'Citation', url: string, title: string | null, start: number | null, end: number | null }>, continues: { __typename: 'Message', id: string } | null } } };

export type DeleteMessageMutationVariables = Exact<{
  input: DeleteMessageInput;
}>;


export type DeleteMessageMutation = { __typename: 'Mutation', deleteMessage: { __typename: 'DeleteMessagePayload', deletedCount: number, fromIndex: number, conversation: { __typename: 'Conversation', id: string, name: string, model: string | null, headId: string, pinned: boolean, archivedAt: string | null, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } } };

export type ForkTalkMutationVariables = Exact<{
  input: ForkConversationInput;
}>;


export type ForkTalkMutation = { __typename: 'Mutation', forkConversation: { __typename: 'ForkConversationPayload', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null, queuedReplies: Array<{ __typename: 'Message', id: string }> } } };

export type ViewerQueryVariables = Exact<{ [key: string]: never; }>;


export type ViewerQuery = { __typename: 'Query', viewer: { __typename: 'User', id: string, email: string | null, name: string } | null };

export type SiteQueryVariables = Exact<{ [key: string]: never; }>;


export type SiteQuery = { __typename: 'Query', site: { __typename: 'Site', name: string, signUp: boolean, suggestions: Array<string>, features: Array<string>, version: string, issuers: Array<{ __typename: 'SiteIssuer', name: string, url: string }> } };

export type ChangePasswordMutationVariables = Exact<{
  input: ChangePasswordInput;
}>;


export type ChangePasswordMutation = { __typename: 'Mutation', changePassword: { __typename: 'ChangePasswordPayload', user: { __typename: 'User', id: string } } };

export const EmptyTalksDocument = "query EmptyTalks{conversations(first:5){nodes{id ...TalkChoices createdAt lastMessageAt messages(first:2){nodes{id __typename}__typename}__typename}__typename}}fragment TalkChoices on Conversation{model systemPrompt parameters{...ParametersAll __typename}contextSettings{policy turns limitTokens __typename}__typename}fragment ParametersAll on Parameters{temperature topP maxTokens stop seed presencePenalty frequencyPenalty responseFormat{type name schema strict __typename}reasoningEffort verbosity __typename}" as unknown as TypedDocumentNode<EmptyTalksQuery, EmptyTalksQueryVariables>;
export const CreateTalkDocument = "mutation CreateTalk($input:CreateConversationInput!){createConversation(input:$input){conversation{id __typename}__typename}}" as unknown as TypedDocumentNode<CreateTalkMutation, CreateTalkMutationVariables>;
export const EditQuestionDocument = "mutation EditQuestion($input:EditMessageInput!){editMessage(input:$input){conversation{id headId __typename}userMessage{id __typename}reply{id __typename}__typename}}" as unknown as TypedDocumentNode<EditQuestionMutation, EditQuestionMutationVariables>;
export const CorrectQuestionDocument = "mutation CorrectQuestion($input:UpdateMessageInput!){updateMessage(input:$input){message{id content editedAt __typename}__typename}}" as unknown as TypedDocumentNode<CorrectQuestionMutation, CorrectQuestionMutationVariables>;
export const StopReplyDocument = "mutation StopReply($input:StopReplyInput!){stopReply(input:$input){message{id status content __typename}__typename}}" as unknown as TypedDocumentNode<StopReplyMutation, StopReplyMutationVariables>;
export const LastQuestionDocument = "query LastQuestion($id:ID!){conversation(id:$id){id messages(last:6){nodes{id role content status __typename}__typename}__typename}}" as unknown as TypedDocumentNode<LastQuestionQuery, LastQuestionQueryVariables>;
export const QueuedOfDocument = "query QueuedOf($id:ID!){conversation(id:$id){id queuedReplies{id status parent{id content __typename}__typename}__typename}}" as unknown as TypedDocumentNode<QueuedOfQuery, QueuedOfQueryVariables>;
export const ChangeRowDocument = "mutation ChangeRow($input:UpdateConversationInput!){updateConversation(input:$input){conversation{...ConversationRow __typename}__typename}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<ChangeRowMutation, ChangeRowMutationVariables>;
export const NameRowDocument = "mutation NameRow($input:RegenerateNameInput!){regenerateName(input:$input){conversation{...ConversationRow __typename}__typename}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<NameRowMutation, NameRowMutationVariables>;
export const DeleteRowDocument = "mutation DeleteRow($input:DeleteConversationInput!){deleteConversation(input:$input){conversationId __typename}}" as unknown as TypedDocumentNode<DeleteRowMutation, DeleteRowMutationVariables>;
export const ConversationsDocument = "query Conversations($first:Int!$after:String$archived:Boolean$pinned:Boolean){conversations(first:$first after:$after archived:$archived pinned:$pinned){edges{cursor node{...ConversationRow __typename}__typename}pageInfo{hasNextPage endCursor __typename}__typename}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<ConversationsQuery, ConversationsQueryVariables>;
export const ViewerEventsDocument = "subscription ViewerEvents{viewerEvents{__typename ...on ViewerReady{viewer{id __typename}__typename}...on ConversationCreated{conversation{...ConversationRow __typename}__typename}...on ConversationUpdated{conversation{...ConversationRow __typename}__typename}...on ConversationDeleted{conversationId __typename}}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<ViewerEventsSubscription, ViewerEventsSubscriptionVariables>;
export const ModelsDocument = "query Models{models{name description isDefault contextTokens __typename}}" as unknown as TypedDocumentNode<ModelsQuery, ModelsQueryVariables>;
export const TalkSettingsOfDocument = "query TalkSettingsOf($id:ID!){conversation(id:$id){...TalkSettings __typename}}fragment TalkSettings on Conversation{id name nameSource ...TalkChoices __typename}fragment TalkChoices on Conversation{model systemPrompt parameters{...ParametersAll __typename}contextSettings{policy turns limitTokens __typename}__typename}fragment ParametersAll on Parameters{temperature topP maxTokens stop seed presencePenalty frequencyPenalty responseFormat{type name schema strict __typename}reasoningEffort verbosity __typename}" as unknown as TypedDocumentNode<TalkSettingsOfQuery, TalkSettingsOfQueryVariables>;
export const TalkModelDocument = "query TalkModel($id:ID!){conversation(id:$id){id model __typename}}" as unknown as TypedDocumentNode<TalkModelQuery, TalkModelQueryVariables>;
export const ContextUseOfDocument = "query ContextUseOf($id:ID!){conversation(id:$id){id headId contextUse{usedTokens measured limitTokens reservedTokens droppedCount __typename}messages(last:12){nodes{id role context{policy fromIndex messageCount droppedCount limitTokens cutByServer summary{id content model createdAt __typename}__typename}__typename}__typename}__typename}}" as unknown as TypedDocumentNode<ContextUseOfQuery, ContextUseOfQueryVariables>;
export const SaveTalkSettingsDocument = "mutation SaveTalkSettings($input:UpdateConversationInput!){updateConversation(input:$input){conversation{...TalkSettings __typename}__typename}}fragment TalkSettings on Conversation{id name nameSource ...TalkChoices __typename}fragment TalkChoices on Conversation{model systemPrompt parameters{...ParametersAll __typename}contextSettings{policy turns limitTokens __typename}__typename}fragment ParametersAll on Parameters{temperature topP maxTokens stop seed presencePenalty frequencyPenalty responseFormat{type name schema strict __typename}reasoningEffort verbosity __typename}" as unknown as TypedDocumentNode<SaveTalkSettingsMutation, SaveTalkSettingsMutationVariables>;
export const RenameByModelDocument = "mutation RenameByModel($input:RegenerateNameInput!){regenerateName(input:$input){conversation{id name nameSource __typename}__typename}}" as unknown as TypedDocumentNode<RenameByModelMutation, RenameByModelMutationVariables>;
export const SummarizeTalkDocument = "mutation SummarizeTalk($input:SummarizeConversationInput!){summarizeConversation(input:$input){summary{id content model createdAt __typename}__typename}}" as unknown as TypedDocumentNode<SummarizeTalkMutation, SummarizeTalkMutationVariables>;
export const DropSummaryDocument = "mutation DropSummary($input:DeleteSummaryInput!){deleteSummary(input:$input){summaryId __typename}}" as unknown as TypedDocumentNode<DropSummaryMutation, DropSummaryMutationVariables>;
export const TalkDocument = "query Talk($id:ID!$last:Int!){conversation(id:$id){...TalkHead messages(last:$last){edges{...TalkEdge __typename}pageInfo{hasPreviousPage __typename}__typename}__typename}}fragment TalkHead on Conversation{id name model headId pinned archivedAt runningReply{id status __typename}queuedReplies{id __typename}__typename}fragment TalkEdge on MessageEdge{cursor node{...TalkMessage __typename}__typename}fragment TalkMessage on Message{id index role clientKey content reasoning status finishReason error{code message retryable __typename}model usage{promptTokens completionTokens cachedTokens reasoningTokens estimated __typename}context{policy fromIndex droppedCount limitTokens cutByServer summary{id content __typename}__typename}sentToModel droppedParameters citations{url title start end __typename}omittedOutput reasoningMs firstTokenMs attempt editedAt siblingCount siblingPosition continues{id __typename}createdAt finishedAt __typename}" as unknown as TypedDocumentNode<TalkQuery, TalkQueryVariables>;
export const TalkOlderDocument = "query TalkOlder($id:ID!$last:Int!$before:String!){conversation(id:$id){id messages(last:$last before:$before){edges{...TalkEdge __typename}pageInfo{hasPreviousPage __typename}__typename}__typename}}fragment TalkEdge on MessageEdge{cursor node{...TalkMessage __typename}__typename}fragment TalkMessage on Message{id index role clientKey content reasoning status finishReason error{code message retryable __typename}model usage{promptTokens completionTokens cachedTokens reasoningTokens estimated __typename}context{policy fromIndex droppedCount limitTokens cutByServer summary{id content __typename}__typename}sentToModel droppedParameters citations{url title start end __typename}omittedOutput reasoningMs firstTokenMs attempt editedAt siblingCount siblingPosition continues{id __typename}createdAt finishedAt __typename}" as unknown as TypedDocumentNode<TalkOlderQuery, TalkOlderQueryVariables>;
export const TalkNewerDocument = "query TalkNewer($id:ID!$first:Int!$after:String!){conversation(id:$id){id messages(first:$first after:$after){edges{...TalkEdge __typename}pageInfo{hasNextPage __typename}__typename}__typename}}fragment TalkEdge on MessageEdge{cursor node{...TalkMessage __typename}__typename}fragment TalkMessage on Message{id index role clientKey content reasoning status finishReason error{code message retryable __typename}model usage{promptTokens completionTokens cachedTokens reasoningTokens estimated __typename}context{policy fromIndex droppedCount limitTokens cutByServer summary{id content __typename}__typename}sentToModel droppedParameters citations{url title start end __typename}omittedOutput reasoningMs firstTokenMs attempt editedAt siblingCount siblingPosition continues{id __typename}createdAt finishedAt __typename}" as unknown as TypedDocumentNode<TalkNewerQuery, TalkNewerQueryVariables>;
export const TalkEventsDocument = "subscription TalkEvents($id:ID!){conversationEvents(conversationId:$id){__typename ...on ConversationSnapshot{conversation{...TalkHead __typename}fromIndex __typename}...on ConversationUpdated{conversation{...TalkHead __typename}__typename}...on ConversationDeleted{conversationId __typename}...on MessageAdded{edge{...TalkEdge __typename}__typename}...on MessageSnapshot{message{...TalkMessage __typename}__typename}...on MessageDelta{message{id attempt __typename}offset text __typename}...on MessageReasoningDelta{message{id attempt __typename}offset text __typename}...on MessageFinished{message{...TalkMessage parent{id sentToModel __typename}__typename}__typename}}}fragment TalkHead on Conversation{id name model headId pinned archivedAt runningReply{id status __typename}queuedReplies{id __typename}__typename}fragment TalkEdge on MessageEdge{cursor node{...TalkMessage __typename}__typename}fragment TalkMessage on Message{id index role clientKey content reasoning status finishReason error{code message retryable __typename}model usage{promptTokens completionTokens cachedTokens reasoningTokens estimated __typename}context{policy fromIndex droppedCount limitTokens cutByServer summary{id content __typename}__typename}sentToModel droppedParameters citations{url title start end __typename}omittedOutput reasoningMs firstTokenMs attempt editedAt siblingCount siblingPosition continues{id __typename}createdAt finishedAt __typename}" as unknown as TypedDocumentNode<TalkEventsSubscription, TalkEventsSubscriptionVariables>;
export const VersionsDocument = "query Versions($id:ID!){node(id:$id){__typename ...on Message{id siblings(first:100){nodes{id __typename}__typename}__typename}}}" as unknown as TypedDocumentNode<VersionsQuery, VersionsQueryVariables>;
export const SelectVersionDocument = "mutation SelectVersion($input:SelectBranchInput!){selectBranch(input:$input){conversation{...TalkHead __typename}fromIndex __typename}}fragment TalkHead on Conversation{id name model headId pinned archivedAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<SelectVersionMutation, SelectVersionMutationVariables>;
export const RegenerateDocument = "mutation Regenerate($input:RegenerateReplyInput!){regenerateReply(input:$input){conversation{...TalkHead __typename}reply{id __typename}__typename}}fragment TalkHead on Conversation{id name model headId pinned archivedAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<RegenerateMutation, RegenerateMutationVariables>;
export const ContinueReplyDocument = "mutation ContinueReply($input:ContinueReplyInput!){continueReply(input:$input){conversation{...TalkHead __typename}reply{id __typename}__typename}}fragment TalkHead on Conversation{id name model headId pinned archivedAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<ContinueReplyMutation, ContinueReplyMutationVariables>;
export const CorrectMessageDocument = "mutation CorrectMessage($input:UpdateMessageInput!){updateMessage(input:$input){message{...TalkMessage __typename}__typename}}fragment TalkMessage on Message{id index role clientKey content reasoning status finishReason error{code message retryable __typename}model usage{promptTokens completionTokens cachedTokens reasoningTokens estimated __typename}context{policy fromIndex droppedCount limitTokens cutByServer summary{id content __typename}__typename}sentToModel droppedParameters citations{url title start end __typename}omittedOutput reasoningMs firstTokenMs attempt editedAt siblingCount siblingPosition continues{id __typename}createdAt finishedAt __typename}" as unknown as TypedDocumentNode<CorrectMessageMutation, CorrectMessageMutationVariables>;
export const DeleteMessageDocument = "mutation DeleteMessage($input:DeleteMessageInput!){deleteMessage(input:$input){conversation{...TalkHead __typename}deletedCount fromIndex __typename}}fragment TalkHead on Conversation{id name model headId pinned archivedAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<DeleteMessageMutation, DeleteMessageMutationVariables>;
export const ForkTalkDocument = "mutation ForkTalk($input:ForkConversationInput!){forkConversation(input:$input){conversation{...ConversationRow __typename}__typename}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status __typename}queuedReplies{id __typename}__typename}" as unknown as TypedDocumentNode<ForkTalkMutation, ForkTalkMutationVariables>;
export const ViewerDocument = "query Viewer{viewer{id email name __typename}}" as unknown as TypedDocumentNode<ViewerQuery, ViewerQueryVariables>;
export const SiteDocument = "query Site{site{name signUp issuers{name url __typename}suggestions features version __typename}}" as unknown as TypedDocumentNode<SiteQuery, SiteQueryVariables>;
export const ChangePasswordDocument = "mutation ChangePassword($input:ChangePasswordInput!){changePassword(input:$input){user{id __typename}__typename}}" as unknown as TypedDocumentNode<ChangePasswordMutation, ChangePasswordMutationVariables>;

export const documentIds: Record<string, string> = {
  "EmptyTalks": "22605b41df2d6d8d",
  "CreateTalk": "00488dbef3783f0c",
  "EditQuestion": "1dde2631333e92ed",
  "CorrectQuestion": "11903f6d015eaa8c",
  "StopReply": "4eb7a869c37c9c72",
  "LastQuestion": "b59d27a6e51d91a5",
  "QueuedOf": "9ae2adc24d0d5eb0",
  "ChangeRow": "470dba1c5c6c6727",
  "NameRow": "8e30c09f94c6f926",
  "DeleteRow": "8389a3c10bf943d2",
  "Conversations": "9c3605db54b1dcf1",
  "ViewerEvents": "5b6dd1f0000fd2af",
  "Models": "4f52e70e5bbea58f",
  "TalkSettingsOf": "5a758c1f7a15663c",
  "TalkModel": "b7da34c55093cf47",
  "ContextUseOf": "210aca30870379a3",
  "SaveTalkSettings": "b5d68c1cae53abc2",
  "RenameByModel": "8a4369866172ee44",
  "SummarizeTalk": "5381c81b62da0b6e",
  "DropSummary": "ecacfc858dda2319",
  "Talk": "32a41b19bb736ff3",
  "TalkOlder": "2d8d25f7f9101d82",
  "TalkNewer": "d4b56cb3a42377c7",
  "TalkEvents": "a83923c76271ae04",
  "Versions": "1401f4183ef6ef22",
  "SelectVersion": "d331f9bf6a98d55a",
  "Regenerate": "04f229f96a79ae94",
  "ContinueReply": "fe3488e69105922d",
  "CorrectMessage": "d632c7af3d2cfd54",
  "DeleteMessage": "e9b24eecdf20e4e9",
  "ForkTalk": "f01e22f4428a167f",
  "Viewer": "5a54cf1c54524b49",
  "Site": "aea532f0adfefbb5",
  "ChangePassword": "e810ae9e6709efc0"
};
