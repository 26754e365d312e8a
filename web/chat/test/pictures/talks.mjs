// What the pictures are of: conversations of a person, made over the API.
import { data, finalMessage, signInDocument, signUpDocument, until } from '../../../../compat/lib/parley.mjs';

const sendDocument = `mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) { conversation { id } userMessage { id } reply { id } }
}`;

/** Person asks the API as who is signed in. */
export class Person {
  static async signUp(url, { email, password }) {
    const input = { email, password, name: 'Ada Lovelace' };
    const { signUp } = await data(url, signUpDocument, { input });
    return Object.assign(new Person(), { url, email, password, token: signUp.accessToken });
  }

  ask(document, variables) {
    return data(this.url, document, variables, this.token);
  }

  /** Renewed where the server was away for longer than a token lasts. */
  async signIn() {
    const input = { email: this.email, password: this.password };
    this.token = (await data(this.url, signInDocument, { input })).signIn.accessToken;
  }

  /** send returns the ids of the conversation, the question and the reply. */
  async send(content, more = {}) {
    const { sendMessage } = await this.ask(sendDocument, { input: { content, ...more } });
    return { id: sendMessage.conversation.id, asked: sendMessage.userMessage.id, reply: sendMessage.reply.id };
  }

  /** talk sends, and waits until the reply has ended. */
  async talk(content, more) {
    const sent = await this.send(content, more);
    await finalMessage(this.url, this.token, sent.reply);
    return sent;
  }

  /** writes sends, and waits until the reply is where it stops. */
  async writes(content, more) {
    const sent = await this.send(content, more);
    const query = 'query ($id: ID!) { node(id: $id) { ... on Message { content } } }';
    await until('it is being written', 0, async () => (await this.ask(query, { id: sent.reply })).node.content !== '');
    return sent;
  }

  async named(name, more = {}) {
    const create = 'mutation ($i: CreateConversationInput!) { createConversation(input: $i) { conversation { id } } }';
    return (await this.ask(create, { i: { name, ...more } })).createConversation.conversation.id;
  }

  again(messageId) {
    return this.ask('mutation ($i: RegenerateReplyInput!) { regenerateReply(input: $i) { reply { id } } }', {
      i: { messageId },
    });
  }
}

/** makeTalks makes one conversation for each state of a message that stays. */
export async function makeTalks(person) {
  const talks = {};
  talks.versions = await versions(person);
  talks.length = await person.talk('Write a long story');
  talks.filter = await person.talk('What is in that film?');
  talks.refused = await person.talk('How are locks picked?');
  talks.failed = await person.talk('Translate this letter');
  talks.edited = await edited(person);
  talks.goneOn = await goneOn(person);
  talks.page = await person.talk('How is a word found quickly?');
  talks.arabic = await person.talk('اشرح لي المد والجزر');
  const scripted = await person.named('Where the tides come from', { model: 'script' });
  talks.notes = await person.talk('/citations /image /tokens 30 /slow 0', { conversationId: scripted });
  talks.stopped = await stopped(person);
  talks.waiting = await person.send('Tell me of the first lighthouse');
  talks.thinking = await person.send('Which knot holds best?');
  talks.complete = await person.talk('Why does bread rise?');
  return talks;
}

async function versions(person) {
  const sent = await person.talk('Why are there two tides a day?');
  for (let i = 0; i < 2; i++) {
    const { regenerateReply } = await person.again(sent.reply);
    await finalMessage(person.url, person.token, regenerateReply.reply.id);
    if (i === 0) sent.second = regenerateReply.reply.id;
  }
  const select = 'mutation ($i: SelectBranchInput!) { selectBranch(input: $i) { conversation { id } } }';
  await person.ask(select, { i: { messageId: sent.second } });
  return sent;
}

async function edited(person) {
  const sent = await person.talk('Say it shorter');
  const correct = 'mutation ($i: UpdateMessageInput!) { updateMessage(input: $i) { message { id } } }';
  await person.ask(correct, { i: { messageId: sent.reply, content: 'The moon pulls, the earth turns.' } });
  return sent;
}

async function goneOn(person) {
  const sent = await person.talk('Write a long story', { content: 'Write a long story' });
  const goOn = 'mutation ($i: ContinueReplyInput!) { continueReply(input: $i) { reply { id } } }';
  const { continueReply } = await person.ask(goOn, { i: { messageId: sent.reply } });
  await finalMessage(person.url, person.token, continueReply.reply.id);
  return sent;
}

async function stopped(person) {
  const sent = await person.writes('How do I sharpen a chisel?');
  await person.ask('mutation ($i: StopReplyInput!) { stopReply(input: $i) { message { id } } }', {
    i: { messageId: sent.reply },
  });
  return sent;
}
