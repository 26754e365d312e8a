// Generated from graph/schema by schema.mjs. Do not edit.

export interface User {
  __typename?: 'User'
  id: string
  email: string | null
  name: string
  createdAt: DateTime
  conversations: ConversationConnection
}

export interface AuthPayload {
  __typename?: 'AuthPayload'
  accessToken: string
  refreshToken: string
  expiresAt: DateTime
  user: User
}

export interface SignUpInput {
  email: string
  password: string
  name?: string | null
}

export interface SignInInput {
  email: string
  password: string
}

export interface RefreshSessionInput {
  refreshToken: string
}

export interface ChangePasswordInput {
  currentPassword: string
  newPassword: string
}

export interface SignOutPayload {
  __typename?: 'SignOutPayload'
  signedOut: boolean
}

export interface ChangePasswordPayload {
  __typename?: 'ChangePasswordPayload'
  user: User
}

export interface Query {
  viewer: User | null
  conversation: Conversation | null
  conversations: ConversationConnection
  models: readonly Model[]
  node: Node | null
  nodes: readonly (Node | null)[]
  site: Site
}

export interface Mutation {
  signUp: AuthPayload
  signIn: AuthPayload
  refreshSession: AuthPayload
  signOut: SignOutPayload
  changePassword: ChangePasswordPayload
  regenerateReply: RegenerateReplyPayload
  editMessage: EditMessagePayload
  continueReply: ContinueReplyPayload
  selectBranch: SelectBranchPayload
  forkConversation: ForkConversationPayload
  addMessages: AddMessagesPayload
  updateMessage: UpdateMessagePayload
  deleteMessage: DeleteMessagePayload
  regenerateName: RegenerateNamePayload
  summarizeConversation: SummarizeConversationPayload
  deleteSummary: DeleteSummaryPayload
  createConversation: CreateConversationPayload
  updateConversation: UpdateConversationPayload
  deleteConversation: DeleteConversationPayload
  sendMessage: SendMessagePayload
  stopReply: StopReplyPayload
}

export type ForkScope =
  | 'LINE'
  | 'TREE'

export interface RegenerateReplyInput {
  messageId: string
  clientKey?: string | null
  expectedHeadId?: string | null
  onBusy?: OnBusy | null
  wait?: boolean | null
  model?: string | null
  parameters?: ParametersInput | null
}

export interface EditMessageInput {
  messageId: string
  content: string
  clientKey?: string | null
  expectedHeadId?: string | null
  onBusy?: OnBusy | null
  wait?: boolean | null
  model?: string | null
  parameters?: ParametersInput | null
}

export interface ContinueReplyInput {
  messageId: string
  clientKey?: string | null
  expectedHeadId?: string | null
  wait?: boolean | null
  model?: string | null
  parameters?: ParametersInput | null
}

export interface SelectBranchInput {
  messageId: string
  expectedHeadId?: string | null
}

export interface ForkConversationInput {
  messageId: string
  scope?: ForkScope | null
  name?: string | null
  clientKey?: string | null
}

export interface NewMessageInput {
  role: MessageRole
  content: string
  reasoning?: string | null
  model?: string | null
}

export interface AddMessagesInput {
  conversationId?: string | null
  afterMessageId?: string | null
  messages: readonly NewMessageInput[]
  clientKey?: string | null
  expectedHeadId?: string | null
}

export interface UpdateMessageInput {
  messageId: string
  content: string
}

export interface DeleteMessageInput {
  messageId: string
}

export interface RegenerateReplyPayload {
  __typename?: 'RegenerateReplyPayload'
  conversation: Conversation
  userMessage: Message
  reply: Message
  replyEdge: MessageEdge
  deduplicated: boolean
}

export interface EditMessagePayload {
  __typename?: 'EditMessagePayload'
  conversation: Conversation
  userMessage: Message
  userMessageEdge: MessageEdge
  reply: Message
  replyEdge: MessageEdge
  deduplicated: boolean
}

export interface ContinueReplyPayload {
  __typename?: 'ContinueReplyPayload'
  conversation: Conversation
  reply: Message
  replyEdge: MessageEdge
  deduplicated: boolean
}

export interface SelectBranchPayload {
  __typename?: 'SelectBranchPayload'
  conversation: Conversation
  fromIndex: number | null
}

export interface ForkConversationPayload {
  __typename?: 'ForkConversationPayload'
  conversation: Conversation
  conversationEdge: ConversationEdge
  deduplicated: boolean
}

export interface AddMessagesPayload {
  __typename?: 'AddMessagesPayload'
  conversation: Conversation
  messages: readonly Message[]
  messageEdges: readonly MessageEdge[]
  deduplicated: boolean
}

export interface UpdateMessagePayload {
  __typename?: 'UpdateMessagePayload'
  message: Message
}

export interface DeleteMessagePayload {
  __typename?: 'DeleteMessagePayload'
  conversation: Conversation
  messageId: string
  deletedCount: number
  fromIndex: number
}

export type ContextPolicy =
  | 'FULL'
  | 'TRUNCATE'
  | 'LAST_N'
  | 'SUMMARIZE'

export interface ContextSettings {
  __typename?: 'ContextSettings'
  policy: ContextPolicy
  turns: number | null
  limitTokens: number | null
}

export interface ContextSettingsInput {
  policy: ContextPolicy
  turns?: number | null
  limitTokens?: number | null
}

export interface MessageContext {
  __typename?: 'MessageContext'
  policy: ContextPolicy
  fromIndex: number
  messageCount: number
  droppedCount: number
  summary: Summary | null
  limitTokens: number | null
  cutByServer: boolean
}

export interface Summary {
  __typename?: 'Summary'
  id: string
  reachesTo: Message
  content: string
  model: string | null
  createdAt: DateTime
}

export interface ContextUse {
  __typename?: 'ContextUse'
  usedTokens: number
  measured: boolean
  limitTokens: number | null
  reservedTokens: number
  droppedCount: number
}

export interface Citation {
  __typename?: 'Citation'
  url: string
  title: string | null
  start: number | null
  end: number | null
}

export type OmittedOutput =
  | 'IMAGE'
  | 'AUDIO'
  | 'OTHER'

export type ReasoningEffort =
  | 'NONE'
  | 'MINIMAL'
  | 'LOW'
  | 'MEDIUM'
  | 'HIGH'

export type Verbosity =
  | 'LOW'
  | 'MEDIUM'
  | 'HIGH'

export interface RegenerateNameInput {
  conversationId: string
}

export interface RegenerateNamePayload {
  __typename?: 'RegenerateNamePayload'
  conversation: Conversation
}

export interface SummarizeConversationInput {
  conversationId: string
}

export interface SummarizeConversationPayload {
  __typename?: 'SummarizeConversationPayload'
  summary: Summary | null
}

export interface DeleteSummaryInput {
  summaryId: string
}

export interface DeleteSummaryPayload {
  __typename?: 'DeleteSummaryPayload'
  summaryId: string
}

export interface Conversation {
  __typename?: 'Conversation'
  id: string
  name: string
  nameSource: ConversationNameSource
  model: string | null
  systemPrompt: string | null
  parameters: Parameters | null
  contextSettings: ContextSettings | null
  contextUse: ContextUse
  headId: string
  runningReply: Message | null
  queuedReplies: readonly Message[]
  pinned: boolean
  archivedAt: DateTime | null
  createdAt: DateTime
  updatedAt: DateTime
  lastMessageAt: DateTime
  user: User
  forkedFrom: Message | null
  messages: MessageConnection
}

export type ConversationNameSource =
  | 'PLACEHOLDER'
  | 'AUTO'
  | 'USER'

export interface ConversationConnection {
  __typename?: 'ConversationConnection'
  edges: readonly ConversationEdge[]
  nodes: readonly Conversation[]
  pageInfo: PageInfo
  totalCount: number
}

export interface ConversationEdge {
  __typename?: 'ConversationEdge'
  cursor: string
  node: Conversation
}

export interface Parameters {
  __typename?: 'Parameters'
  temperature: number | null
  topP: number | null
  maxTokens: number | null
  stop: readonly string[] | null
  seed: number | null
  presencePenalty: number | null
  frequencyPenalty: number | null
  responseFormat: ResponseFormat | null
  reasoningEffort: ReasoningEffort | null
  verbosity: Verbosity | null
}

export interface ResponseFormat {
  __typename?: 'ResponseFormat'
  type: ResponseFormatType
  name: string | null
  schema: string | null
  strict: boolean
}

export type ResponseFormatType =
  | 'TEXT'
  | 'JSON_OBJECT'
  | 'JSON_SCHEMA'

export interface ParametersInput {
  temperature?: number | null
  topP?: number | null
  maxTokens?: number | null
  stop?: readonly string[] | null
  seed?: number | null
  presencePenalty?: number | null
  frequencyPenalty?: number | null
  responseFormat?: ResponseFormatInput | null
  reasoningEffort?: ReasoningEffort | null
  verbosity?: Verbosity | null
}

export interface ResponseFormatInput {
  type: ResponseFormatType
  name?: string | null
  schema?: string | null
  strict?: boolean | null
}

export interface CreateConversationInput {
  name?: string | null
  model?: string | null
  systemPrompt?: string | null
  parameters?: ParametersInput | null
  context?: ContextSettingsInput | null
}

export interface UpdateConversationInput {
  conversationId: string
  name?: string | null
  model?: string | null
  systemPrompt?: string | null
  parameters?: ParametersInput | null
  context?: ContextSettingsInput | null
  pinned?: boolean | null
  archived?: boolean | null
}

export interface DeleteConversationInput {
  conversationId: string
}

export interface CreateConversationPayload {
  __typename?: 'CreateConversationPayload'
  conversation: Conversation
  conversationEdge: ConversationEdge
}

export interface UpdateConversationPayload {
  __typename?: 'UpdateConversationPayload'
  conversation: Conversation
}

export interface DeleteConversationPayload {
  __typename?: 'DeleteConversationPayload'
  conversationId: string
}

export interface MessageEvent {
  message: Message
}

export interface MessageSnapshot {
  __typename?: 'MessageSnapshot'
  message: Message
  cursor: string
}

export interface MessageDelta {
  __typename?: 'MessageDelta'
  message: Message
  offset: number
  text: string
  cursor: string
}

export interface MessageReasoningDelta {
  __typename?: 'MessageReasoningDelta'
  message: Message
  offset: number
  text: string
  cursor: string
}

export interface MessageFinished {
  __typename?: 'MessageFinished'
  message: Message
}

export interface ConversationSnapshot {
  __typename?: 'ConversationSnapshot'
  conversation: Conversation
  runningReply: Message | null
  fromIndex: number | null
}

export interface MessageAdded {
  __typename?: 'MessageAdded'
  message: Message
  edge: MessageEdge
}

export interface ConversationCreated {
  __typename?: 'ConversationCreated'
  conversation: Conversation
  edge: ConversationEdge
}

export interface ConversationUpdated {
  __typename?: 'ConversationUpdated'
  conversation: Conversation
  edge: ConversationEdge
}

export interface ConversationDeleted {
  __typename?: 'ConversationDeleted'
  conversationId: string
}

export interface ViewerReady {
  __typename?: 'ViewerReady'
  viewer: User
}

export interface Subscription {
  messageEvents: MessageEvent
  conversationEvents: ConversationEvent
  viewerEvents: ViewerEvent
}

export interface Message {
  __typename?: 'Message'
  id: string
  index: number
  role: MessageRole
  clientKey: string | null
  content: string
  reasoning: string
  status: MessageStatus
  finishReason: FinishReason | null
  error: MessageError | null
  model: string | null
  usage: Usage | null
  context: MessageContext | null
  sentToModel: boolean
  parameters: Parameters | null
  droppedParameters: readonly string[]
  citations: readonly Citation[]
  omittedOutput: readonly OmittedOutput[]
  reasoningMs: number | null
  firstTokenMs: number | null
  attempt: number
  parent: Message | null
  active: boolean
  editedAt: DateTime | null
  siblings: MessageConnection
  siblingCount: number
  siblingPosition: number
  children: MessageConnection
  continues: Message | null
  conversation: Conversation
  createdAt: DateTime
  finishedAt: DateTime | null
}

export type MessageRole =
  | 'SYSTEM'
  | 'USER'
  | 'ASSISTANT'

export type MessageStatus =
  | 'QUEUED'
  | 'STREAMING'
  | 'COMPLETED'
  | 'STOPPED'
  | 'FAILED'
  | 'INTERRUPTED'

export type FinishReason =
  | 'STOP'
  | 'LENGTH'
  | 'CONTENT_FILTER'
  | 'TOOL_CALLS'

export interface MessageError {
  __typename?: 'MessageError'
  code: string
  message: string
  retryable: boolean
}

export interface Usage {
  __typename?: 'Usage'
  promptTokens: number
  completionTokens: number
  totalTokens: number
  cachedTokens: number | null
  cacheWriteTokens: number | null
  reasoningTokens: number | null
  estimated: boolean
}

export interface MessageConnection {
  __typename?: 'MessageConnection'
  edges: readonly MessageEdge[]
  nodes: readonly Message[]
  pageInfo: PageInfo
  totalCount: number
}

export interface MessageEdge {
  __typename?: 'MessageEdge'
  cursor: string
  node: Message
}

export interface Model {
  __typename?: 'Model'
  name: string
  description: string | null
  isDefault: boolean
  contextTokens: number | null
}

export type OnBusy =
  | 'REJECT'
  | 'QUEUE'
  | 'INTERRUPT'

export interface SendMessageInput {
  conversationId?: string | null
  content: string
  clientKey?: string | null
  expectedHeadId?: string | null
  onBusy?: OnBusy | null
  wait?: boolean | null
  model?: string | null
  parameters?: ParametersInput | null
}

export interface SendMessagePayload {
  __typename?: 'SendMessagePayload'
  conversation: Conversation
  userMessage: Message
  userMessageEdge: MessageEdge
  reply: Message
  replyEdge: MessageEdge
  deduplicated: boolean
}

export interface StopReplyInput {
  messageId: string
}

export interface StopReplyPayload {
  __typename?: 'StopReplyPayload'
  message: Message
}

export interface Node {
  id: string
}

export interface PageInfo {
  __typename?: 'PageInfo'
  hasNextPage: boolean
  hasPreviousPage: boolean
  startCursor: string | null
  endCursor: string | null
}

export interface Site {
  __typename?: 'Site'
  name: string
  signUp: boolean
  issuers: readonly SiteIssuer[]
  suggestions: readonly string[]
  features: readonly string[]
  version: string
}

export interface SiteIssuer {
  __typename?: 'SiteIssuer'
  name: string
  url: string
}

export type ConversationEvent =
  | ConversationSnapshot
  | ConversationUpdated
  | ConversationDeleted
  | MessageAdded
  | MessageSnapshot
  | MessageDelta
  | MessageReasoningDelta
  | MessageFinished

export type ViewerEvent =
  | ViewerReady
  | ConversationCreated
  | ConversationUpdated
  | ConversationDeleted

export type DateTime = string
