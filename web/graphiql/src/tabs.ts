import type { GraphiQLProps } from 'graphiql';

/** The content of a headers editor before anybody has signed in. */
export const blankHeaders = JSON.stringify({ Authorization: 'Bearer ' }, null, 2);

/** The operation that comes after signing in. */
export const sendOperation = 'SendMessage';

/** The operation whose tab is given the id of each new reply. */
export const watchOperation = 'WatchReply';

const signUp = `# Welcome to Parley! Press play in three tabs:
#   1. SignUp       makes an account (this tab)
#   2. SendMessage  starts a reply
#   3. WatchReply   shows it being written
#
# The access token goes into the Headers of all
# tabs by itself. Have an account? See tab SignIn.

mutation SignUp {
  signUp(
    input: {
      email: "ada@example.com"
      password: "correct horse battery staple"
      name: "Ada"
    }
  ) {
    user {
      id
      name
      email
    }
    accessToken
    refreshToken
    expiresAt
  }
}
`;

const sendMessage = `# Press play: this makes a conversation, stores
# your message and starts a reply (STREAMING).
# Then open tab WatchReply and press play there.
#
# To go on in the same conversation, add its id
# to the variables below: "conversationId": "..."
# To get the finished reply in one call, add
# wait: true to the input.

mutation ${sendOperation}($conversationId: ID, $content: String!) {
  sendMessage(
    input: { conversationId: $conversationId, content: $content }
  ) {
    conversation {
      id
      name
    }
    userMessage {
      id
      content
    }
    reply {
      id
      status
      content
    }
  }
}
`;

const watchReply = `# Press play and see the reply grow. The id of
# your latest reply is in the variables below;
# paste another one to watch that.
#
# GraphiQL shows the latest event only, so this
# asks each for the whole message. A program
# would take the small events instead:
#   ... on MessageDelta { offset text }

subscription ${watchOperation}($id: ID!) {
  messageEvents(messageId: $id) {
    __typename
    message {
      id
      status
      content
    }
  }
}
`;

const signIn = `# For an account that exists already. As with
# SignUp, the access token goes into the Headers
# of all tabs by itself.

mutation SignIn {
  signIn(
    input: {
      email: "ada@example.com"
      password: "correct horse battery staple"
    }
  ) {
    user {
      id
      name
      email
    }
    accessToken
    refreshToken
    expiresAt
  }
}
`;

const newConversation = `# A conversation with a name and a system prompt.
# Give its id to SendMessage as conversationId.
# The icon at the top left shows the whole API;
# model and parameters may be set here too.

mutation NewConversation {
  createConversation(
    input: {
      name: "Latin lesson"
      systemPrompt: "Answer briefly, and end with a Latin proverb."
    }
  ) {
    conversation {
      id
      name
    }
  }
}
`;

const myConversations = `# You, and the conversations you have so far.

query MyConversations {
  viewer {
    id
    name
    conversations(first: 20) {
      nodes {
        id
        name
      }
    }
  }
}
`;

/** The tabs of a first visit. Their titles are the names of the operations. */
export const startingTabs: GraphiQLProps['defaultTabs'] = [
  { query: signUp },
  { query: sendMessage, variables: JSON.stringify({ content: 'Hello! I feel a little tired today.' }, null, 2) },
  { query: watchReply, variables: JSON.stringify({ id: '' }, null, 2) },
  { query: signIn },
  { query: newConversation },
  { query: myConversations },
].map((tab) => ({ variables: null, ...tab, headers: blankHeaders }));
