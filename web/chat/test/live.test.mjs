// The rule for texts, the line of a talk and what is said of a reply, without a browser: random events with cuts,
// answers that come late, pages that are dropped. Nothing is lost, repeated or out of order.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { runnerImport } from 'vite';
import { withSources } from './source.mjs';

const from = async (file) => (await runnerImport(join(import.meta.dirname, '../src', file))).module;
const { grow, takeSnapshot } = await from('live/text.ts');
const { newPace } = await from('live/pace.ts');
const { LiveTexts } = await from('live/store.ts');
const { kept, capped, cutFrom, withAdded, withChanged, withEnd, withNewer, withOlder } = await from('talk/list.ts');
const { step } = await from('talk/events.ts');
const { sentencesOf, plain, Speaker, wordsOf } = await from('talk/speech.ts');
const { isFollowing, relation } = await from('talk/place.ts');

let OpenTalk;
// It reaches @parley/client, which is built by the page's own settings.
withSources(async (load) => ({ OpenTalk } = await load('talk/open.ts')));

/** A generator of numbers below n that is the same in each run. */
function dice(seed) {
  let state = seed;
  return (n) => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % n;
}

const piece = (offset, text, attempt = 1, of = 'content') => ({ attempt, of, offset, text });

test('a text that is cut anywhere is whole in the end, whatever came twice', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const roll = dice(seed);
    const attempts = 1 + roll(3);
    let held = null;
    let final = '';
    for (let attempt = 1; attempt <= attempts; attempt++) {
      final = Array.from({ length: 20 + roll(60) }, () => 'aé😀\n'.at(roll(5)) ?? 'z').join('');
      let sent = roll(3);
      held = takeSnapshot(held, { attempt, content: final.slice(0, sent), reasoning: '' });
      while (sent < final.length) {
        const size = 1 + roll(7);
        const next = piece(sent, final.slice(sent, sent + size), attempt);
        sent = Math.min(final.length, sent + size);
        const fate = roll(10);
        if (fate === 0) continue; // lost on the way
        if (fate === 1) held = grow(held, piece(0, 'of an attempt that is over', attempt - 1));
        held = grow(held, next) ?? takeSnapshot(null, { attempt, content: final.slice(0, sent), reasoning: '' });
        if (fate === 2) held = grow(held, next); // came twice
        if (fate === 3) held = takeSnapshot(held, { attempt, content: final.slice(0, sent), reasoning: '' });
        assert.ok(final.startsWith(held.content), `seed ${seed}`);
      }
      held = grow(held, piece(final.length, '', attempt)) ?? { attempt, content: final, reasoning: '' };
      assert.equal(held.content, final, `seed ${seed}`);
    }
  }
});

test('a piece beyond the text is a loss, one of another attempt waits for its snapshot', () => {
  const held = { attempt: 2, content: 'abc', reasoning: '' };
  assert.equal(grow(held, piece(4, 'e', 2)), null);
  assert.equal(grow(null, piece(0, 'e', 2)), null);
  assert.equal(grow(held, piece(0, 'e', 3)), held);
  assert.equal(takeSnapshot(held, { attempt: 1, content: '', reasoning: '' }), held);
  assert.equal(grow(held, piece(1, 'x', 2)).content, 'ax');
  assert.equal(grow(held, piece(0, 'hm', 2, 'reasoning')).reasoning, 'hm');
});

test('a text paints once a frame, and a hidden tab keeps the newest alone', () => {
  const frames = [];
  const texts = new LiveTexts((paint) => frames.push(paint));
  const text = texts.of('m');
  let paints = 0;
  const off = text.subscribe(() => paints++);
  text.snapshot({ attempt: 1, content: '', reasoning: '' });
  for (let i = 0; i < 1000; i++) assert.ok(text.piece(piece(i, 'x')));
  assert.deepEqual([frames.length, paints, text.get()], [1, 0, null]);
  frames.pop()();
  assert.deepEqual([paints, text.get().content.length, text.get() === text.get()], [1, 1000, true]);
  off();
  texts.drop('m');
  assert.equal(texts.size, 0);
});

/** paintsOf runs a pace over frames of 16 ms, with a text that always has more; it returns when that was painted. */
function paintsOf(count, took, keys = []) {
  let now = 0;
  let frames = [];
  let behind = [];
  const { nextFrame, keyed } = newPace({
    now: () => now,
    frame: (run) => frames.push(run),
    behind: (run) => behind.push(run),
  });
  const painted = [];
  const more = () =>
    nextFrame(() => {
      painted.push(Math.round(now / 16));
      now += took;
      more();
    });
  more();
  for (let i = 0; i < count; i++) {
    now = Math.max(now, i * 16);
    if (keys.includes(i)) keyed();
    for (const run of frames.splice(0)) run();
    for (const run of behind.splice(0)) run();
  }
  return painted;
}

test('a quick page paints a growing text in each frame, a slow one leaves time, and a key goes first', () => {
  assert.deepEqual(paintsOf(5, 6), [0, 1, 2, 3, 4]);
  assert.deepEqual(paintsOf(6, 12), [0, 2, 4]);
  assert.deepEqual(paintsOf(6, 6, [1, 2, 4]), [0, 3, 5]);
  // However long a paint took, the next comes 24 ms behind it.
  assert.deepEqual(paintsOf(100, 320), [0, 22, 44, 66, 88]);
});

const headOf = (headId, more = {}) => ({ id: 'c', headId, runningReply: null, queuedReplies: [], ...more });
const message = (index, more = {}) => ({
  id: `m${index}`,
  index,
  status: 'COMPLETED',
  attempt: 1,
  content: `text ${index}`,
  cursor: `k${index}`,
  ...more,
});
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => message(first + i));
const page = (first, last, hasMore = first > 1) => ({ messages: range(first, last), hasMore });
const indexes = ({ messages }) => messages.map(({ index }) => index);
const line = (first, last) => withEnd(null, headOf(`m${last}`), page(first, last), null);

function assertWhole({ messages }) {
  messages.forEach(({ index }, i) => i && assert.equal(index, messages[i - 1].index + 1));
}

test('pages join without gaps, and the farther end is dropped as a step of its own', () => {
  let held = line(9951, 10000);
  for (let first = 9951; held.messages.length <= kept; first -= 50) held = withOlder(held, page(first - 50, first - 1));
  held = capped(held, 'last');
  assert.deepEqual([held.messages.length, held.hasOlder, held.hasNewer], [kept, true, true]);
  assertWhole(held);
  held = capped(withNewer(held, { messages: range(held.messages.at(-1).index + 1, 10000), hasMore: false }), 'first');
  assert.deepEqual([held.messages.length, held.hasNewer, held.messages.at(-1).index], [kept, false, 10000]);
  assertWhole(held);
});

test('a newest page joins what is above it, or stands alone behind a gap', () => {
  const held = line(1, 60);
  assert.deepEqual(indexes(withEnd(held, headOf('m62'), page(13, 62), null)), indexes(line(1, 62)));
  assert.deepEqual(indexes(withEnd(held, headOf('m200'), page(151, 200), null)), indexes(line(151, 200)));
  // What is from the index on may be another branch: none of it stays above the page.
  assert.equal(withEnd(line(1, 60), headOf('m9'), page(1, 9, false), 5).messages.length, 9);
  assert.deepEqual(indexes(cutFrom(held, 5)), [1, 2, 3, 4]);
});

test('an answer that is older than an event does not undo it', () => {
  const held = line(1, 4);
  const late = { ...page(1, 4), messages: [...range(1, 3), message(4, { status: 'STREAMING', content: '' })] };
  assert.equal(withEnd(held, headOf('m4'), late, null).messages[3].content, 'text 4');
  // Nor does its head say that something runs or waits which has ended.
  const running = { runningReply: { id: 'm4', status: 'STREAMING' }, queuedReplies: [{ id: 'm3' }, { id: 'm9' }] };
  const { head } = withEnd(held, headOf('m4', running), late, null);
  assert.deepEqual([head.runningReply, head.queuedReplies], [null, [{ id: 'm9' }]]);
  const corrected = withChanged(held, message(4, { attempt: 2, content: 'better' }));
  assert.equal(corrected.messages[3].content, 'better');
  assert.equal(withEnd(corrected, headOf('m4'), page(1, 4), null).messages[3].content, 'better');
});

test('messages that are added come once, at their place, or ask for what is missing', () => {
  const held = line(1, 4);
  assert.deepEqual(indexes(withAdded(held, message(5))), [1, 2, 3, 4, 5]);
  assert.deepEqual(indexes(withAdded(held, message(4))), [1, 2, 3, 4]);
  assert.deepEqual(
    withAdded(held, message(3, { id: 'other' })).messages.map(({ id }) => id),
    ['m1', 'm2', 'other'],
  );
  assert.equal(withAdded(held, message(9)), null);
});

test('events keep what runs and what waits, and say what is to be fetched', () => {
  const event = (__typename, more) => ({ __typename, ...more });
  const added = (index, status) =>
    event('MessageAdded', { edge: { cursor: `k${index}`, node: message(index, { status, content: '' }) } });
  let { line: held } = step(line(1, 2), added(3, 'COMPLETED'));
  let tasks;
  ({ line: held, tasks } = step(held, added(4, 'STREAMING')));
  assert.deepEqual([held.head.runningReply.id, tasks.map(({ do: what }) => what)], ['m4', ['snapshot']]);
  ({ line: held } = step(held, added(5, 'COMPLETED')));
  ({ line: held } = step(held, added(6, 'QUEUED')));
  assert.deepEqual(
    held.head.queuedReplies.map(({ id }) => id),
    ['m6'],
  );
  ({ line: held, tasks } = step(
    held,
    event('MessageFinished', { message: { ...message(4), parent: { id: 'm3', sentToModel: true } } }),
  ));
  assert.deepEqual(
    [held.head.runningReply, held.messages[3].content, tasks.map(({ do: what }) => what)],
    [null, 'text 4', ['drop']],
  );
  ({ line: held } = step(
    held,
    event('MessageSnapshot', { message: message(6, { status: 'STREAMING', content: '' }) }),
  ));
  assert.deepEqual([held.head.runningReply.id, held.head.queuedReplies], ['m6', []]);
  ({ line: held, tasks } = step(held, event('ConversationSnapshot', { conversation: headOf('m3'), fromIndex: 3 })));
  assert.deepEqual([indexes(held), tasks], [[1, 2], [{ do: 'fetch', fromIndex: 3 }]]);
  assert.deepEqual(step(held, event('OfALaterServer', {})), { line: held, tasks: [] });
  assert.deepEqual(step(null, event('ConversationDeleted', { conversationId: 'c' })).tasks, [{ do: 'gone' }]);
});

/** Asked is a session whose answers and events a test gives. */
function talkWith() {
  const asked = [];
  const events = [];
  let wake;
  const session = {
    run: (document, variables) => new Promise((answer) => asked.push({ ...variables, answer })),
    async *subscribe() {
      for (;;) {
        while (events.length > 0) yield { conversationEvents: events.shift() };
        await new Promise((resolve) => (wake = resolve));
      }
    },
  };
  const live = new LiveTexts(() => {});
  const talk = new OpenTalk({ session, live, retry: async () => {} }, 'c');
  const turn = () => new Promise(setImmediate);
  const tell = (event) => (events.push(event), wake?.(), turn());
  const edgesOf = ({ messages, hasMore }) => ({
    edges: messages.map((node) => ({ cursor: node.cursor, node })),
    pageInfo: { hasPreviousPage: hasMore, hasNextPage: hasMore },
  });
  const answer = (page, last = page.messages.at(-1)) => {
    asked.shift().answer({ conversation: { ...headOf(last?.id ?? null), messages: edgesOf(page) } });
    return turn();
  };
  const idsOf = () => talk.get().line.messages.map(({ id }) => id);
  return { talk, live, asked, tell, answer, turn, idsOf };
}

test('an answer from before a message that has been added since does not take it away', async () => {
  const { talk, asked, tell, answer, turn, idsOf } = talkWith();
  const close = talk.open();
  await turn();
  await answer({ messages: [], hasMore: false });
  // The subscription begins, and asks for the end; meanwhile somebody sends.
  await tell({ __typename: 'ConversationSnapshot', conversation: headOf(null), fromIndex: null });
  assert.equal(asked.length, 1);
  const added = (index, status) => ({
    __typename: 'MessageAdded',
    edge: { cursor: `k${index}`, node: message(index, { status, content: '' }) },
  });
  await tell(added(0, 'COMPLETED'));
  await tell(added(1, 'STREAMING'));
  await answer({ messages: [], hasMore: false });
  assert.deepEqual(idsOf(), ['m0', 'm1'], 'they stay');
  await answer({ messages: [message(0), message(1, { status: 'STREAMING' })], hasMore: false });
  assert.deepEqual([idsOf(), asked.length], [['m0', 'm1'], 0], 'and it is asked once more, not for ever');
  close();
});

test('an answer from before its deletion does not bring a talk back', async () => {
  const { talk, asked, tell, answer, turn } = talkWith();
  const close = talk.open();
  await turn();
  await answer({ messages: [message(0), message(1)], hasMore: false });
  await tell({ __typename: 'ConversationSnapshot', conversation: headOf('m1'), fromIndex: null });
  assert.equal(asked.length, 1);
  await tell({ __typename: 'ConversationDeleted', conversationId: 'c' });
  await answer({ messages: [message(0), message(1)], hasMore: false });
  assert.equal(talk.get().gone, 'deleted');
  close();
});

test('the text of a reply that ended while the line was cut is let go, one whose pieces come is not', async () => {
  const { talk, live, tell, answer, turn } = talkWith();
  const close = talk.open();
  await turn();
  await answer({ messages: [message(0), message(1, { status: 'STREAMING', content: '' })], hasMore: false });
  const opened = { __typename: 'ConversationSnapshot', conversation: headOf('m1'), fromIndex: null };
  const whole = { messages: [message(0), message(1)], hasMore: false };
  await tell(opened);
  await tell({ __typename: 'MessageSnapshot', message: message(1, { status: 'STREAMING', content: 'half ' }) });
  await answer(whole); // It is ahead of the events.
  assert.equal(live.size, 1, 'more pieces may come');
  assert.equal(live.of('m1').newest.content, 'half ');
  await tell(opened); // The line was cut, and the end was not told.
  await answer(whole);
  assert.equal(live.size, 0);
  close();
});

test('of 10,000 messages at most 400 are kept, up and down again, and each is met in its order', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { talk, asked, answer, turn } = talkWith();
  const close = talk.open();
  await turn();
  let most = 0;
  talk.subscribe(() => (most = Math.max(most, talk.get().line?.messages.length ?? 0)));
  const settle = (met) => {
    t.mock.timers.tick(1000);
    const { line } = talk.get();
    assertWhole(line);
    assert.ok(line.messages.length <= kept);
    met.add(line.messages[0].index).add(line.messages.at(-1).index);
    return line;
  };
  await answer(page(9951, 10_000));
  const up = new Set();
  while (settle(up).hasOlder) {
    void talk.loadOlder();
    const first = Number(asked[0].before.slice(1));
    await answer(page(first - 50, first - 1));
  }
  const down = new Set();
  while (settle(down).hasNewer) {
    void talk.loadNewer();
    const last = Number(asked[0].after.slice(1));
    await answer(page(last + 1, last + 50, last + 50 < 10_000));
  }
  assert.deepEqual([Math.min(...up), Math.max(...down), most], [1, 10_000, kept + 50]);
  assert.ok(up.size >= 200 && down.size >= 190, `${up.size} pages up, ${down.size} down`);
  close();
});

test('whole sentences are said, at most one announcement in two seconds, then the rest', () => {
  const text = 'The first one. The **second** one? The third is not wh';
  assert.deepEqual(sentencesOf(text, 0, false, 'en'), { said: 'The first one. The second one?', upTo: 35 });
  assert.equal(sentencesOf('Look:\n\n```js\nlet a = 1\nlet b', 0, false, 'en').said, 'Look:');
  assert.equal(plain('# Title\n\n- see [this](https://a.b) `code`'), 'Title see this code');
  const speaker = new Speaker('en');
  const said = [];
  for (let i = 0, now = 0; i <= text.length; i++, now += 100) {
    const one = speaker.next(text.slice(0, i), now);
    if (one) said.push([now, one]);
  }
  said.forEach(([now], i) => i && assert.ok(now - said[i - 1][0] >= 2000));
  assert.equal([...said.map(([, one]) => one), speaker.end(text)].join(' '), plain(text));
  assert.equal(wordsOf('Two words, 三个词', 'en') >= 3, true);
});

test('the end is followed until the reader goes away from it, and again when they come back', () => {
  const at = (top, height = 1000) => ({ top, height, size: 400 });
  assert.equal(isFollowing(true, at(600), at(600, 1400)), true); // it grew
  assert.equal(isFollowing(true, at(600), at(300)), false);
  assert.equal(isFollowing(true, at(600), at(560)), true); // within 64 px
  assert.equal(isFollowing(true, at(600), at(500, 900 + 80)), true); // it became shorter
  assert.equal(isFollowing(false, at(300), at(500)), false);
  assert.equal(isFollowing(false, at(300), at(540)), true);
});

test('rows in front are told from another list', () => {
  assert.equal(relation(range(5, 9), range(1, 9)), 'front');
  assert.equal(relation(range(1, 9), range(5, 9)), 'front');
  assert.equal(relation(range(5, 9), range(5, 12)), 'same');
  assert.equal(relation(range(5, 9), range(20, 30)), 'other');
});
