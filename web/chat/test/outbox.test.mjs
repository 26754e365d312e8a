// The outbox and the drafts without a browser: a server that answers, refuses, is slow and loses answers, pages that
// die at any moment, two of them at once. In the end there is exactly one message for each send.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parts } from './composer/parts.mjs';
import { Shelf } from './composer/shelf.mjs';

const { Drafts, isHeld, keptMs, Outbox, read, step } = parts;

const entryOf = (key, more = {}) => ({
  key,
  user: 'ann',
  at: 0,
  kind: 'send',
  conversationId: 'c',
  messageId: null,
  content: `text of ${key}`,
  head: null,
  onBusy: 'REJECT',
  choices: null,
  state: { name: 'sending', tries: 0 },
  ...more,
});
const refused = (code, extensions = {}) => ({ kind: 'refused', code, message: code, extensions });
const answered = (answer, entry = entryOf('k')) => step(entry, { name: 'answered', answer, now: 1000, random: 0 });

test('each refusal has its state', () => {
  const states = [
    [refused('CONVERSATION_BUSY', { messageId: 'r' }), { name: 'busy', replyId: 'r' }],
    [refused('STALE_HEAD', { headId: 'h' }), { name: 'stale', headId: 'h' }],
    [refused('OVERLOADED', { retryAfter: 2 }), { name: 'waiting', tries: 1, retryAt: 3000 }],
    [refused('RATE_LIMITED', { retryAfter: 20 }), { name: 'waiting', tries: 1, retryAt: 21_000 }],
    [refused('UNAVAILABLE'), { name: 'unknown', tries: 1, retryAt: 1250 }],
    [{ kind: 'lost' }, { name: 'unknown', tries: 1, retryAt: 1250 }],
    [
      refused('QUOTA_EXCEEDED', { quota: 'tokens_per_day', resetsOn: '2026-11-28', retryAfter: 50 }),
      { name: 'quota', quota: 'tokens_per_day', until: 51_000 },
    ],
    [
      refused('QUOTA_EXCEEDED', { quota: 'tokens_per_day', retryAfter: 5 }),
      { name: 'waiting', tries: 1, retryAt: 6000 },
    ],
    [refused('QUOTA_EXCEEDED', { quota: 'bytes_per_user' }), { name: 'quota', quota: 'bytes_per_user', until: null }],
    [refused('QUEUE_FULL'), { name: 'full' }],
    [refused('NOT_FOUND'), { name: 'gone' }],
    [refused('CONTEXT_TOO_LONG', { limitTokens: 8, neededTokens: 9 }), { name: 'context', most: 8, have: 9 }],
    [refused('MODEL_UNAVAILABLE', { model: 'm' }), { name: 'model', model: 'm' }],
    [refused('BAD_USER_INPUT', { fields: { model: 'must be one of two' } }), { name: 'model', model: null }],
    [
      refused('BAD_USER_INPUT', { fields: { content: 'may have at most 32768 bytes of UTF-8, not 40000' } }),
      { name: 'long', most: 32_768, have: 40_002 },
    ],
    [
      refused('BAD_USER_INPUT', { fields: { content: 'is empty' } }),
      { name: 'refused', code: 'BAD_USER_INPUT', message: 'BAD_USER_INPUT' },
    ],
    [refused('OF_LATER'), { name: 'refused', code: 'OF_LATER', message: 'OF_LATER' }],
  ];
  const long = entryOf('k', { content: 'x'.repeat(39_996) + 'ä€' + 'x' });
  for (const [answer, state] of states) assert.deepEqual(answered(answer, long).state, state, JSON.stringify(answer));
  assert.equal(answered({ kind: 'sent' }), null);
  assert.equal(answered(refused('IDEMPOTENCY_CONFLICT')), null, 'an earlier form of it is stored');
});

test('what is typed behind a send follows it, and what was typed for something else does not', () => {
  const passed = { name: 'passed', before: 'h1', head: 'h2' };
  const follows = step(entryOf('b', { head: 'h1' }), passed);
  assert.deepEqual([follows.head, follows.onBusy], ['h2', 'QUEUE']);
  assert.equal(step(entryOf('b', { head: 'h1', onBusy: 'INTERRUPT' }), passed).onBusy, 'INTERRUPT');
  assert.equal(step(entryOf('b', { head: 'h0' }), passed).head, 'h0');
});

test('back-off grows to half a minute', () => {
  let entry = entryOf('k');
  const waits = [];
  for (let i = 0; i < 9; i++) {
    entry = answered({ kind: 'lost' }, entry);
    waits.push(entry.state.retryAt - 1000);
    entry = step(entry, { name: 'again' });
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
});

test('what is stored is read with care', () => {
  const good = entryOf('k');
  assert.deepEqual(read(JSON.stringify(good), 5), good);
  for (const bad of [
    null,
    '',
    '{',
    '[]',
    '7',
    '{"key":"k"}',
    JSON.stringify({ ...good, at: 'x' }),
    JSON.stringify({ ...good, state: null }),
  ]) {
    assert.equal(read(bad, 5), null, String(bad));
  }
  assert.equal(read(JSON.stringify(good), keptMs + 1), null, 'too old');
});

/** A small source of numbers that repeats. */
function dice(seed) {
  return () => {
    seed = (seed * 1664525 + 1013904223) % 2 ** 32;
    return seed / 2 ** 32;
  };
}

/** A server that keeps each key once, and whose answers are lost as the dice say. */
class Server {
  stored = new Map();
  arrivals = 0;
  running = false;
  constructor(random) {
    this.random = random;
  }

  async post(entry) {
    await tick(this.random() * 4);
    if (this.random() < 0.15) return { kind: 'lost' }; // on the way there
    this.arrivals++;
    const answer = this.#answer(entry);
    await tick(this.random() * 4);
    return this.random() < 0.25 ? { kind: 'lost' } : answer; // on the way back
  }

  #answer({ key, content, onBusy, conversationId }) {
    const sent = { kind: 'sent', conversationId: conversationId ?? 'new', headId: `r-${key}`, messageId: `q-${key}` };
    if (this.stored.has(key)) return sent;
    const code = [null, null, null, 'OVERLOADED', 'RATE_LIMITED', 'UNAVAILABLE', 'STALE_HEAD'][
      Math.floor(this.random() * 7)
    ];
    if (code) return refused(code, { headId: 'h', retryAfter: 1 });
    if (this.random() < 0.3 && onBusy === 'REJECT') return refused('CONVERSATION_BUSY', { messageId: 'r' });
    this.stored.set(key, [...(this.stored.get(key) ?? []), content]);
    return sent;
  }
}

const tick = (n = 1) => new Promise((resolve) => (n < 1 ? resolve() : setImmediate(() => resolve(tick(n - 1)))));

/** Locks as a browser has them: they go with the page that holds them. */
class Locks {
  #held = new Map();
  run(page, name, work) {
    const before = this.#held.get(name) ?? Promise.resolve();
    const mine = before.then(() => (page.dead ? undefined : Promise.race([work(), page.death])));
    this.#held.set(
      name,
      mine.catch(() => {}),
    );
    return mine;
  }
}

function open(server, storage, locks, random, pages) {
  const page = { dead: false };
  page.death = new Promise(
    (resolve) =>
      (page.die = () => {
        page.dead = true;
        resolve();
      }),
  );
  const never = new Promise(() => {});
  const alive = (value) => (page.dead ? never : value);
  const tell = (name) => {
    for (const one of pages) if (one !== page && !one.dead) one.outbox.changed(name);
  };
  page.outbox = new Outbox({
    storage: {
      get length() {
        return storage.length;
      },
      key: (i) => storage.key(i),
      getItem: (name) => storage.getItem(name),
      setItem: (name, value) => {
        if (!page.dead) {
          storage.setItem(name, value);
          queueMicrotask(() => tell(name));
        }
      },
      removeItem: (name) => {
        if (!page.dead) {
          storage.removeItem(name);
          queueMicrotask(() => tell(name));
        }
      },
    },
    post: async (entry) => alive(await server.post(entry)),
    lock: (name, work) => (locks ? locks.run(page, name, work) : work()),
    pause: async () => alive(await tick(1 + random() * 3)),
    now: () => 0,
    random,
  });
  pages.push(page);
  page.outbox.start('ann');
  return page;
}

/** Whoever sits before a page decides about what is held. */
function decide({ outbox }, random) {
  for (const { key, state } of outbox.entries) {
    if (state.name === 'busy') outbox.decide(key, { name: 'again', onBusy: random() < 0.5 ? 'QUEUE' : 'INTERRUPT' });
    else if (state.name === 'stale') outbox.decide(key, { name: 'again', head: state.headId });
    else if (isHeld({ state })) outbox.decide(key, { name: 'again' });
  }
}

for (const withLocks of [true, false]) {
  test(`whatever is lost, refused, doubled or dies, each send is one message (locks: ${withLocks})`, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = dice(seed);
      const server = new Server(random);
      const storage = new Shelf();
      const locks = withLocks ? new Locks() : null;
      const pages = [];
      let page = open(server, storage, locks, random, pages);
      const keys = [];
      for (let round = 0; round < 24; round++) {
        const what = random();
        if (what < 0.35) {
          const key = `key-${seed}-${keys.length}`;
          const sentBy = page;
          page.outbox.send(
            entryOf(key, { head: keys.at(-1) ? `r-${keys.at(-1)}` : null }),
            () => !sentBy.dead && keys.push(key),
          );
          await tick(2);
        } else if (what < 0.5) {
          page.die();
          page = open(server, storage, locks, random, pages);
        } else if (what < 0.65) {
          page = open(server, storage, locks, random, pages); // a second tab; the first goes on
        }
        decide(page, random);
        await tick(random() * 6);
      }
      for (let i = 0; i < 3000 && storage.length > 0; i++) {
        decide(page, random);
        await tick();
      }
      assert.deepEqual([...storage.map.keys()], [], `seed ${seed}: something is left`);
      for (const key of keys) assert.equal(server.stored.get(key)?.length, 1, `seed ${seed}: ${key}`);
      assert.equal(server.stored.size, new Set(keys).size, `seed ${seed}: as many as were kept`);
      for (const one of pages.filter(({ dead }) => !dead)) {
        for (let i = 0; i < 100 && one.outbox.entries.length > 0; i++) await tick();
        assert.deepEqual(one.outbox.entries, [], `seed ${seed}: a page shows what is stored as not sent`);
        one.die();
      }
    }
  });
}

test('a send of somebody else stays where it is, and goes at forget', async () => {
  const storage = new Shelf();
  storage.setItem('parley:out:other-key', JSON.stringify(entryOf('other-key', { user: 'bob' })));
  storage.setItem('parley:out:broken', '{');
  storage.setItem('other', 'kept');
  const server = new Server(() => 0.99);
  const { outbox } = open(server, storage, null, () => 0, []);
  await tick(20);
  assert.equal(server.arrivals, 0);
  assert.deepEqual(outbox.entries, []);
  assert.deepEqual([...storage.map.keys()], ['parley:out:other-key', 'other']);
  outbox.forget();
  assert.deepEqual([...storage.map.keys()], ['other']);
});

test('a send waits for the one before it, and is queued behind it', async () => {
  const posted = [];
  let release;
  const server = {
    post: (entry) =>
      new Promise((resolve) => {
        posted.push([entry.key, entry.head, entry.onBusy]);
        release = () => resolve({ kind: 'sent', conversationId: 'c', headId: `r-${entry.key}`, messageId: 'q' });
      }),
  };
  const { outbox } = open(server, new Shelf(), null, () => 0, []);
  outbox.send(entryOf('first-key', { head: 'h' }));
  outbox.send(entryOf('second-key', { head: 'h' }));
  await tick(3);
  assert.deepEqual(posted, [['first-key', 'h', 'REJECT']]);
  release();
  await tick(3);
  assert.deepEqual(posted[1], ['second-key', 'r-first-key', 'QUEUE']);
});

test('what waits can be taken back, and what is on its way cannot', async () => {
  const answers = [refused('OVERLOADED', { retryAfter: 5 })];
  const server = { post: async () => answers.pop() ?? new Promise(() => {}) };
  const storage = new Shelf();
  const page = open(server, storage, null, () => 0, []);
  page.outbox.world.pause = () => new Promise(() => {});
  page.outbox.send(entryOf('some-key'));
  assert.equal(page.outbox.take('some-key'), null);
  await tick(3);
  assert.equal(page.outbox.entries[0].state.name, 'waiting');
  assert.equal(page.outbox.take('some-key').content, 'text of some-key');
  assert.deepEqual([page.outbox.entries, storage.length], [[], 0]);
});

test('a page that waits for another shows what that one does, and takes nothing from it that is on its way', async () => {
  const answers = [];
  const server = { post: () => new Promise((answer) => answers.push(answer)) };
  const [storage, locks, pages] = [new Shelf(), new Locks(), []];
  const [one, two] = [0, 1].map(() => open(server, storage, locks, () => 0, pages));
  let go;
  one.outbox.world.pause = () => new Promise((resolve) => (go = resolve));
  const states = () => pages.map(({ outbox }) => outbox.entries[0]?.state.name);
  one.outbox.send(entryOf('some-key'));
  await tick(4);
  answers.pop()(refused('OVERLOADED', { retryAfter: 5 }));
  await tick(4);
  assert.deepEqual(states(), ['waiting', 'waiting']);
  go();
  await tick(1);
  assert.equal(two.outbox.take('some-key'), null, 'it is on its way again');
  await tick(4);
  assert.deepEqual(states(), ['sending', 'sending']);
  answers.pop()(refused('OVERLOADED', { retryAfter: 5 }));
  await tick(4);
  assert.equal(two.outbox.take('some-key').content, 'text of some-key');
  await tick(4);
  assert.deepEqual([states(), storage.length], [[undefined, undefined], 0]);
  go();
  await tick(8);
  assert.equal(answers.length, 0, 'what was taken back is not sent');
});

test('a page without storage still sends', async () => {
  const server = new Server(() => 0.99);
  const page = open(server, new Shelf(), null, () => 0, []);
  const fail = () => {
    throw new Error('no storage');
  };
  page.outbox.world.storage = {
    getItem: fail,
    setItem: fail,
    removeItem: fail,
    key: fail,
    get length() {
      return fail();
    },
  };
  page.outbox.send(entryOf('some-key', { onBusy: 'QUEUE' }));
  for (let i = 0; i < 50 && !server.arrivals; i++) await tick();
  assert.equal(server.arrivals, 1);
});

test('drafts: one a conversation and person, seven days, and none after sign-out', () => {
  const storage = new Shelf();
  let now = 0;
  const drafts = new Drafts(
    () => storage,
    () => now,
  );
  drafts.save('ann', null, 'new');
  drafts.save('ann', 'c', 'half a thought');
  assert.deepEqual(
    [drafts.load('ann', null), drafts.load('ann', 'c'), drafts.load('bob', 'c')],
    ['new', 'half a thought', ''],
  );
  drafts.save('ann', null, '  \n');
  assert.equal(storage.length, 1, 'blank is no draft');
  now = keptMs + 1;
  storage.setItem('parley:draft:ann:d', 'garbage');
  storage.setItem('other', 'kept');
  drafts.sweep();
  assert.deepEqual([...storage.map.keys()], ['other']);
  drafts.save('ann', 'c', 'again');
  drafts.forget();
  assert.deepEqual([...storage.map.keys()], ['other']);
  const locked = new Drafts(() => {
    throw new Error('no storage');
  });
  locked.save('ann', 'c', 'x');
  assert.equal(locked.load('ann', 'c'), '');
});
