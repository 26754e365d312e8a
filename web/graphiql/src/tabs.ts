import type { GraphiQLProps } from 'graphiql';

/** The content of a headers editor before anybody has signed in. */
export const blankHeaders = JSON.stringify({ Authorization: 'Bearer ' }, null, 2);

/** The operation whose tab is given the address of an account that exists already. */
export const signInOperation = 'SignIn';

/** The operation that comes after signing in, and whose tab is given the id of the latest conversation. */
export const sendOperation = 'SendMessage';

/** The operation that follows a new reply. */
export const watchOperation = 'WatchReply';

/** The operation whose tab is given the id of each new summary. */
export const deleteSummaryOperation = 'DeleteSummary';

/** The operations whose tabs are given the id of each new reply. */
export const replyOperations = [watchOperation, 'ReplyDetails', 'Versions'];

/** The operations, beside that of sending, whose tabs are given the id of the latest conversation. */
export const conversationOperations = [
  'ContextUse',
  'ConversationSettings',
  'RegenerateName',
  'SummarizeConversation',
  'AddMessages',
];

/** The operations whose tabs are given the id of a message: the new reply, its question, or the version it replaces. */
export const messageOperations: Record<string, 'replyId' | 'questionId' | 'leftId'> = {
  RegenerateReply: 'replyId',
  EditMessage: 'questionId',
  ContinueReply: 'replyId',
  SelectBranch: 'leftId',
  UpdateMessage: 'replyId',
  ForkConversation: 'replyId',
  DeleteMessage: 'replyId',
};

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

const replyDetails = `# What your latest reply was made from, what
# was left out, and how long it took. "parent"
# is your message: sentToModel is false when
# no later prompt holds it.

query ReplyDetails($id: ID!) {
  node(id: $id) {
    ... on Message {
      status
      error {
        code
        message
      }
      context {
        policy
        fromIndex
        messageCount
        droppedCount
        limitTokens
        cutByServer
        summary {
          id
          content
        }
      }
      parameters {
        reasoningEffort
        verbosity
      }
      droppedParameters
      citations {
        title
        url
        start
        end
      }
      omittedOutput
      usage {
        promptTokens
        completionTokens
        reasoningTokens
        cachedTokens
        cacheWriteTokens
      }
      reasoningMs
      firstTokenMs
      parent {
        sentToModel
      }
    }
  }
}
`;

const contextUse = `# How full the context is, for a gauge, and
# how much each model can read at once. Null:
# nobody has said.

query ContextUse($conversationId: ID!) {
  conversation(id: $conversationId) {
    name
    contextSettings {
      policy
      turns
      limitTokens
    }
    contextUse {
      usedTokens
      measured
      limitTokens
      reservedTokens
      droppedCount
    }
  }
  models {
    name
    contextTokens
  }
}
`;

const conversationSettings = `# How it is chosen what a model is sent, and
# how long it thinks and answers. From the
# next reply on.
#   FULL       everything
#   TRUNCATE   the newest turns that fit
#   LAST_N     so many of them: turns
#   SUMMARIZE  a summary, and the newest turns
# null takes it back: "context": null

mutation ConversationSettings(
  $conversationId: ID!
  $context: ContextSettingsInput
  $parameters: ParametersInput
) {
  updateConversation(
    input: {
      conversationId: $conversationId
      context: $context
      parameters: $parameters
    }
  ) {
    conversation {
      contextSettings {
        policy
        turns
        limitTokens
      }
      parameters {
        reasoningEffort
        verbosity
      }
    }
  }
}
`;

const regenerateName = `# A model names the conversation now, also
# in place of your own name. The server needs
# PARLEY_TITLE_MODEL for it.

mutation RegenerateName($conversationId: ID!) {
  regenerateName(
    input: { conversationId: $conversationId }
  ) {
    conversation {
      name
      nameSource
    }
  }
}
`;

const summarizeConversation = `# The older part in short, for the policy
# SUMMARIZE. Null: there is too little of it.

mutation SummarizeConversation(
  $conversationId: ID!
) {
  summarizeConversation(
    input: { conversationId: $conversationId }
  ) {
    summary {
      id
      content
      model
      reachesTo {
        index
      }
    }
  }
}
`;

const deleteSummary = `# Throws a summary away: the messages that it
# covers are sent again, as far as they fit.

mutation ${deleteSummaryOperation}($summaryId: ID!) {
  deleteSummary(input: { summaryId: $summaryId }) {
    summaryId
  }
}
`;

const versions = `# The versions at the place of your latest
# reply, oldest first, and where the line
# goes: "active". A question has versions too,
# and "children" are those of its reply.

query Versions($id: ID!) {
  node(id: $id) {
    ... on Message {
      siblingPosition
      siblingCount
      siblings {
        nodes {
          id
          active
          editedAt
          content
        }
      }
      continues {
        id
      }
      parent {
        id
        content
        siblingCount
      }
    }
  }
}
`;

const regenerateReply = `# Another version of your latest reply; the
# old one stays. Tab WatchReply shows it grow,
# and SelectBranch goes back.
#
# onBusy: INTERRUPT  stops a running reply

mutation RegenerateReply($messageId: ID!) {
  regenerateReply(
    input: {
      messageId: $messageId
      onBusy: INTERRUPT
    }
  ) {
    userMessage {
      id
    }
    reply {
      id
      siblingPosition
      siblingCount
    }
  }
}
`;

const editMessage = `# Ask differently: a new version of your
# question, and its reply.

mutation EditMessage(
  $messageId: ID!
  $content: String!
) {
  editMessage(
    input: {
      messageId: $messageId
      content: $content
      onBusy: INTERRUPT
    }
  ) {
    userMessage {
      id
      siblingPosition
      siblingCount
    }
    reply {
      id
    }
  }
}
`;

const continueReply = `# Go on with a reply that was cut off: that
# was stopped, failed, or became too long.
# With the model script, send "/length 20".

mutation ContinueReply($messageId: ID!) {
  continueReply(input: { messageId: $messageId }) {
    reply {
      id
      content
      continues {
        id
      }
    }
  }
}
`;

const selectBranch = `# Show the version that another one has
# replaced. Everybody who follows the
# conversation is told. Null: it is shown.

mutation SelectBranch($messageId: ID!) {
  selectBranch(input: { messageId: $messageId }) {
    fromIndex
    conversation {
      headId
      messages(last: 20) {
        nodes {
          index
          role
          content
        }
      }
    }
  }
}
`;

const addMessages = `# Put messages in by hand, in any role. No
# model is asked. Take "conversationId" out
# to begin a conversation with them.

mutation AddMessages(
  $conversationId: ID
  $messages: [NewMessageInput!]!
) {
  addMessages(
    input: {
      conversationId: $conversationId
      messages: $messages
    }
  ) {
    conversation {
      id
    }
    messages {
      id
      index
      role
    }
  }
}
`;

const updateMessage = `# Correct a text in place, that of your
# latest reply. The next prompt holds it.

mutation UpdateMessage(
  $messageId: ID!
  $content: String!
) {
  updateMessage(
    input: {
      messageId: $messageId
      content: $content
    }
  ) {
    message {
      id
      content
      editedAt
    }
  }
}
`;

const forkConversation = `# Copy the line up to your latest reply into
# a new conversation, which the next message
# of tab SendMessage goes to.
#
# scope: TREE  copies all branches

mutation ForkConversation($messageId: ID!) {
  forkConversation(
    input: {
      messageId: $messageId
      scope: LINE
    }
  ) {
    conversation {
      id
      name
      forkedFrom {
        id
      }
    }
  }
}
`;

const deleteMessage = `# Delete a message for good, with all that
# follows it on any branch.

mutation DeleteMessage($messageId: ID!) {
  deleteMessage(input: { messageId: $messageId }) {
    deletedCount
    fromIndex
    conversation {
      headId
    }
  }
}
`;

/** The variables of a tab that is given the id of a conversation. */
const ofConversation = (more = {}) => JSON.stringify({ conversationId: '', ...more }, null, 2);

/** The variables of a tab that is given the id of a message. */
const ofMessage = (more = {}) => JSON.stringify({ messageId: '', ...more }, null, 2);

/** The tabs of a first visit. Their titles are the names of the operations. */
export const startingTabs: NonNullable<GraphiQLProps['defaultTabs']> = [
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
  { query: replyDetails, variables: JSON.stringify({ id: '' }, null, 2) },
  { query: contextUse, variables: ofConversation() },
  {
    query: conversationSettings,
    variables: ofConversation({
      context: { policy: 'LAST_N', turns: 10 },
      parameters: { reasoningEffort: 'LOW', verbosity: 'LOW' },
    }),
  },
  { query: regenerateName, variables: ofConversation() },
  { query: summarizeConversation, variables: ofConversation() },
  { query: deleteSummary, variables: JSON.stringify({ summaryId: '' }, null, 2) },
  { query: versions, variables: JSON.stringify({ id: '' }, null, 2) },
  { query: regenerateReply, variables: ofMessage() },
  { query: editMessage, variables: ofMessage({ content: 'I need a chat backend for my cat' }) },
  { query: continueReply, variables: ofMessage() },
  { query: selectBranch, variables: ofMessage() },
  {
    query: addMessages,
    variables: ofConversation({
      messages: [
        { role: 'USER', content: 'Which colour is the sky?' },
        { role: 'ASSISTANT', content: 'Green.', model: 'me' },
      ],
    }),
  },
  { query: updateMessage, variables: ofMessage({ content: 'What I would rather have read.' }) },
  { query: forkConversation, variables: ofMessage() },
  { query: deleteMessage, variables: ofMessage() },
].map((tab) => ({ variables: null, ...tab, headers: blankHeaders }));
