import type { GraphiQLProps } from 'graphiql';

/** The content of a headers editor before anybody has signed in. */
export const blankHeaders = JSON.stringify({ Authorization: 'Bearer ' }, null, 2);

/** The operation whose tab is given the address of an account that exists already. */
export const signInOperation = 'SignIn';

/** The operation that comes after signing in, and whose tab is given the id of the latest conversation. */
export const sendOperation = 'SendMessage';

/** The operation whose tab is given the id of each new reply. */
export const watchOperation = 'WatchReply';

const signUp = `# Welcome to Parley! Press play in
# three tabs, one after the other:
#   1. SignUp       makes an account
#   2. SendMessage  starts a reply
#   3. WatchReply   shows it grow
#
# The access token goes into the
# headers of all tabs, and is renewed.

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

const sendMessage = `# Press play: this stores your message and
# starts a reply (STREAMING). Then open tab
# WatchReply and press play there.
#
# The next message goes on in the same
# conversation, whose id is then in the
# variables below. Take "conversationId"
# out to begin another one.
#
# onBusy: QUEUE  waits for a running reply
# wait: true     answers when all is said

mutation ${sendOperation}(
  $conversationId: ID
  $content: String!
) {
  sendMessage(
    input: {
      conversationId: $conversationId
      content: $content
      onBusy: QUEUE
    }
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

const watchReply = `# Press play and see the reply grow. The id
# of your latest reply is in the variables
# below; paste another one to watch that.
#
# GraphiQL shows the latest event only, so
# this asks each for the whole message. A
# program takes the small events instead:
#   ... on MessageDelta { offset text }

subscription ${watchOperation}($id: ID!) {
  messageEvents(messageId: $id) {
    __typename
    message {
      id
      status
      reasoning
      content
      error {
        code
        message
      }
    }
  }
}
`;

const everyState = `# A model that does what the message says,
# to build a frontend against. Press play,
# then play in tab WatchReply. Others:
#   /refuse  /cut 20  /error rate
#   /length  /markdown  /help

mutation EveryState($content: String!) {
  sendMessage(
    input: {
      content: $content
      model: "script"
    }
  ) {
    conversation {
      id
    }
    reply {
      id
      status
    }
  }
}
`;

const signIn = `# For an account that exists already. As
# with SignUp, the access token goes into
# the headers of all tabs.

mutation ${signInOperation} {
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

const newConversation = `# A conversation with a name and a system
# prompt. Its id goes into the variables of
# tab SendMessage. Model and parameters may
# be set here, too; the book icon shows the
# whole API.

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

const myConversations = `# You, and your conversations so far.

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
  { query: sendMessage, variables: JSON.stringify({ content: 'I need a chat backend' }, null, 2) },
  { query: watchReply, variables: JSON.stringify({ id: '' }, null, 2) },
  { query: signIn },
  { query: newConversation },
  { query: myConversations },
  {
    query: everyState,
    variables: JSON.stringify({ content: 'Tell me about tides. /think 2s /slow 100 /fail-at 30' }, null, 2),
  },
].map((tab) => ({ variables: null, ...tab, headers: blankHeaders }));
