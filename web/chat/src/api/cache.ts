// The normalized cache: what is known of conversations and of messages that have ended. The list of
// conversations is not here: see sidebar/talks.ts.
import { cacheExchange } from '@urql/exchange-graphcache';

export const cache = cacheExchange({
  keys: {
    PageInfo: () => null,
    Site: () => null,
    SiteIssuer: () => null,
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
});
