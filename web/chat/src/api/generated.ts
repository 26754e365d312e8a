/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode } from 'urql';
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

export type ConversationRowFragment = { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null };

export type ConversationsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  archived?: boolean | null | undefined;
}>;


export type ConversationsQuery = { __typename: 'Query', conversations: { __typename: 'ConversationConnection', edges: Array<{ __typename: 'ConversationEdge', cursor: string, node: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null } }>, pageInfo: { __typename: 'PageInfo', hasNextPage: boolean, endCursor: string | null } } };

export type ViewerEventsSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type ViewerEventsSubscription = { __typename: 'Subscription', viewerEvents:
    | { __typename: 'ConversationCreated', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null } }
    | { __typename: 'ConversationDeleted', conversationId: string }
    | { __typename: 'ConversationUpdated', conversation: { __typename: 'Conversation', id: string, name: string, pinned: boolean, archivedAt: string | null, lastMessageAt: string, runningReply: { __typename: 'Message', id: string, status: MessageStatus } | null } }
    | { __typename: 'ViewerReady', viewer: { __typename: 'User', id: string } }
   };

export type ViewerQueryVariables = Exact<{ [key: string]: never; }>;


export type ViewerQuery = { __typename: 'Query', viewer: { __typename: 'User', id: string, email: string | null, name: string } | null };

export const ConversationsDocument = "query Conversations($first:Int!$after:String$archived:Boolean){conversations(first:$first after:$after archived:$archived){edges{cursor node{...ConversationRow}}pageInfo{hasNextPage endCursor}}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status}}" as unknown as TypedDocumentNode<ConversationsQuery, ConversationsQueryVariables>;
export const ViewerEventsDocument = "subscription ViewerEvents{viewerEvents{__typename ...on ViewerReady{viewer{id}}...on ConversationCreated{conversation{...ConversationRow}}...on ConversationUpdated{conversation{...ConversationRow}}...on ConversationDeleted{conversationId}}}fragment ConversationRow on Conversation{id name pinned archivedAt lastMessageAt runningReply{id status}}" as unknown as TypedDocumentNode<ViewerEventsSubscription, ViewerEventsSubscriptionVariables>;
export const ViewerDocument = "query Viewer{viewer{id email name}}" as unknown as TypedDocumentNode<ViewerQuery, ViewerQueryVariables>;