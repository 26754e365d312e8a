// The outbox with send() of @parley/client before the binary: connections are cut at any moment, and pages die.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after, before } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { data, Parley, signUp, startProxy, until } from '../../../compat/lib/parley.mjs';
import { parts } from './composer/parts.mjs';
import { Shelf } from './composer/shelf.mjs';

const { memoryStore, Outbox, post, session } = parts;

let parley, proxy;
before(async () => {
  parley = await Parley.start({
    PARLEY_SCRIPT: 'on',
    PARLEY_MODEL: 'script',
    PARLEY_SENDS_PER_MINUTE: '0',
    PARLEY_MAX_RUNNING: '1000',
  });
  proxy = await startProxy(parley.url);
});
after(async () => {
  proxy?.close();
  await parley?.close();
});

const never = new Promise(() => {});

/** A page on the way through the proxy; when it dies, it writes nothing more and hears of nothing more. */
async function open(person, storage) {
  const page = { dead: false, lost: 0 };
  page.session = session({
    url: `${proxy.url}/graphql`,
    store: memoryStore(),
    webSocket: null,
    // So many answers of the server get lost on their way back.
    async fetch(...request) {
      const response = await fetch(...request);
      if (page.lost === 0) return response;
      page.lost--;
      throw new TypeError('lost');
    },
  });
  await page.session.adopt({ accessToken: person.accessToken, refreshToken: person.refreshToken });
  page.user = (await page.session.run('{ viewer { id } }')).viewer.id;
  page.outbox = new Outbox({
    storage: {
      get length() {
        return storage.length;
      },
      key: (i) => storage.key(i),
      getItem: (name) => storage.getItem(name),
      setItem: (name, value) => page.dead || storage.setItem(name, value),
      removeItem: (name) => page.dead || storage.removeItem(name),
    },
    post: async (entry, created) => {
      const answer = await post(page.session, { ...entry, user: page.user }, (id) => page.dead || created(id));
      return page.dead ? never : answer;
    },
    lock: (_, work) => work(),
    pause: async () => (page.dead ? never : turn()),
    now: Date.now,
    random: () => 0,
  });
  page.outbox.start('me');
  return page;
}

const entryOf = (content, more = {}) => ({
  key: randomUUID(),
  user: 'me',
  at: Date.now(),
  kind: 'send',
  conversationId: null,
  messageId: null,
  content,
  head: null,
  onBusy: 'REJECT',
  choices: null,
  state: { name: 'sending', tries: 0 },
  ...more,
});

const contents = async (person, id) => {
  const query =
    'query ($id: ID!) { conversation(id: $id) { systemPrompt messages(last: 100) { nodes { role content } } } }';
  const { conversation } = await data(parley.url, query, { id }, person.token);
  return conversation.messages.nodes.filter(({ role }) => role === 'USER').map(({ content }) => content);
};

test('cut at any moment, and with pages that die, each send is one message', async () => {
  const person = await signUp(parley.url);
  const storage = new Shelf();
  const { createConversation } = await data(
    parley.url,
    'mutation { createConversation(input: {}) { conversation { id } } }',
    {},
    person.token,
  );
  const conversationId = createConversation.conversation.id;
  let page = await open(person, storage);
  const wanted = [];
  for (let i = 0; i < 30; i++) {
    const content = `message ${i} /slow 0`;
    wanted.push(content);
    // One after the other, since a queue holds ten; cut after so many turns of the loop.
    await new Promise((kept) => page.outbox.send(entryOf(content, { conversationId, onBusy: 'INTERRUPT' }), kept));
    for (let n = 0; n < (i * 7) % 40; n++) await turn();
    if (i % 3 !== 0) proxy.cut();
    if (i % 5 === 4) {
      page.dead = true;
      page = await open(person, storage);
    }
    await until(`message ${i} is stored`, 0, () => storage.length === 0);
  }
  assert.deepEqual(await contents(person, conversationId), wanted);
});

test('an edit whose answers are lost is one version', async () => {
  const person = await signUp(parley.url);
  const storage = new Shelf();
  const page = await open(person, storage);
  const stored = new Promise((resolve) => page.outbox.onStored(resolve));
  page.outbox.send(entryOf('first /slow 0'));
  const { conversationId, messageId } = (await stored).answer;
  page.lost = 3;
  page.outbox.send(entryOf('second /slow 0', { kind: 'edit', conversationId, messageId, onBusy: 'INTERRUPT' }));
  await until('the edit is stored', 0, () => storage.length === 0);
  assert.equal(page.lost, 0);
  const query = 'query ($id: ID!) { node(id: $id) { ... on Message { siblingCount } } }';
  assert.equal((await data(parley.url, query, { id: messageId }, person.token)).node.siblingCount, 2);
  assert.deepEqual(await contents(person, conversationId), ['second /slow 0']);
});

test('a page that dies when the talk is made, and before its message, leaves one talk', async () => {
  const person = await signUp(parley.url);
  const storage = new Shelf();
  const choices = {
    systemPrompt: 'Be brief.',
    parameters: { temperature: 0.5, stop: ['x'] },
    context: { policy: 'TRUNCATE' },
    model: 'script',
  };
  const page = await open(person, storage);
  // It dies in the moment in which the server has answered, and nothing is written of it.
  page.outbox.world.post = (entry) =>
    post(page.session, { ...entry, user: page.user }, () => {
      page.dead = true;
      throw new Error('dead');
    }).then(
      () => never,
      () => never,
    );
  page.outbox.send(entryOf('hello /slow 0', { choices }));
  await until('the talk is made', 0, () => page.dead);
  await open(person, storage);
  await until('the message is stored', 0, () => storage.length === 0);
  const { conversations } = await data(parley.url, '{ conversations { nodes { id systemPrompt } } }', {}, person.token);
  assert.deepEqual(
    conversations.nodes.map(({ systemPrompt }) => systemPrompt),
    ['Be brief.'],
  );
  assert.deepEqual(await contents(person, conversations.nodes[0].id), ['hello /slow 0']);
});

test('what one person has sent does not go out for another who has signed in meanwhile', async () => {
  const other = await signUp(parley.url);
  const { session: shared, user } = await open(await signUp(parley.url), new Shelf());
  await shared.adopt({ accessToken: other.accessToken, refreshToken: other.refreshToken });
  assert.equal(await post(shared, entryOf('secret /slow 0', { user }), () => {}), null);
  const { conversations } = await data(parley.url, '{ conversations { nodes { id } } }', {}, other.token);
  assert.deepEqual(conversations.nodes, []);
});
