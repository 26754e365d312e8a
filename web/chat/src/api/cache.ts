// The normalized cache: what is known of conversations and of messages that have ended.
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';

export const cache = cacheExchange({
  keys: {
    PageInfo: () => null,
    ConversationConnection: () => null,
    MessageConnection: () => null,
    ConversationEdge: () => null,
    MessageEdge: () => null,
    Model: ({ name }) => name as string,
    Parameters: () => null,
    ResponseFormat: () => null,
    ContextSettings: () => null,
    ContextUse: () => null,
    MessageContext: () => null,
  },
  resolvers: { Query: { conversations: relayPagination() } },
});
