// The recorder of "Under the hood": nothing secret gets in, and it does not grow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withSources } from './source.mjs';

let newRecorder, asCurl, inGraphiql, recorded;

withSources(async (load) => {
  ({ newRecorder, asCurl, inGraphiql } = await load('hood/recorder.ts'));
  ({ recorded } = await load('hood/recorded.ts'));
});

test('no password and no token is kept', () => {
  const recorder = newRecorder();
  const id = recorder.record('mutation', {
    name: 'SignIn',
    document: 'mutation SignIn($input: SignInInput!) { signIn(input: $input) { accessToken } }',
    variables: { input: { email: 'ada@example.com', password: 'hush-1' } },
  });
  recorder.answered(id, {
    answer: { signIn: { accessToken: 'hush-2', refreshToken: 'hush-3', user: { email: 'a' } } },
  });
  recorder.record('mutation', {
    name: 'X',
    document: 'mutation { x(input: {password: "hush-4", refreshToken: "hush-5"}) }',
  });
  recorder.record('query', { name: 'Y', variables: { headers: { Authorization: 'Bearer hush-6' } } });
  recorder.record('event', { name: 'Z', answer: { note: 'it said Bearer hush-7', jwt: 'eyJhbGciOi.hush-8.hush-9' } });
  const kept = JSON.stringify(recorder.getSnapshot());
  assert.doesNotMatch(kept, /hush-\d|ada@example/);
  assert.match(kept, /"email"/);
});

test('it lets the oldest go, by count and by size', () => {
  const few = newRecorder({ count: 3, size: 1e6 });
  for (let i = 0; i < 10; i++) few.record('event', { name: `e${i}` });
  assert.deepEqual(
    few.getSnapshot().map(({ name }) => name),
    ['e7', 'e8', 'e9'],
  );
  const small = newRecorder({ count: 100, size: 5000 });
  for (let i = 0; i < 10; i++) small.record('event', { name: `e${i}`, answer: 'x'.repeat(2000) });
  assert.equal(small.getSnapshot().length, 2);
  small.answered(1, { answer: 'late' });
  assert.equal(small.getSnapshot().length, 2);
});

test('a piece of a text costs nothing until somebody looks', () => {
  const recorder = newRecorder({ count: 10, size: 1e6 });
  let read = 0;
  const piece = (n) => ({
    get text() {
      read++;
      return `piece ${n}, Bearer hush-1`;
    },
  });
  for (let n = 0; n < 1000; n++) recorder.record('event', { name: 'MessageDelta', answer: piece(n) });
  assert.equal(read, 0);
  const kept = recorder.getSnapshot();
  assert.deepEqual([kept.length, kept[0].id, kept.at(-1).id], [10, 991, 1000], 'the newest, in their order');
  assert.doesNotMatch(JSON.stringify(kept), /hush/);
  assert.ok(read <= 40, `${read} readings`);
  recorder.record('event', { name: 'MessageDelta', answer: piece(1000) });
  recorder.record('event', { name: 'MessageFinished' });
  assert.deepEqual(
    recorder
      .getSnapshot()
      .slice(-2)
      .map(({ name }) => name),
    ['MessageDelta', 'MessageFinished'],
  );
});

test('an answer gets the time that it took, and listeners hear of it', () => {
  let now = 1000;
  const recorder = newRecorder(undefined, () => now);
  let heard = 0;
  const stop = recorder.subscribe(() => heard++);
  const id = recorder.record('query', { name: 'Q' });
  const before = recorder.getSnapshot();
  assert.equal(recorder.getSnapshot(), before);
  now = 1042;
  recorder.answered(id, { code: 'BUSY' });
  assert.deepEqual([recorder.getSnapshot()[0].took, recorder.getSnapshot()[0].code, heard], [42, 'BUSY', 2]);
  assert.notEqual(recorder.getSnapshot(), before);
  stop();
  recorder.clear();
  assert.equal(heard, 2);
});

test('the command for a shell quotes, and has no token', () => {
  const recorder = newRecorder();
  recorder.record('query', { name: 'Q', document: 'query Q { a }', variables: { text: "it's; rm" } });
  const curl = asCurl(recorder.getSnapshot()[0], 'https://chat.example');
  assert.match(curl, /it'\\''s; rm/);
  assert.match(curl, /Bearer \$PARLEY_TOKEN/);
});

test('the address for GraphiQL brings the operation, no secret, and no more than fits', () => {
  const recorder = newRecorder();
  const asked = (document, variables, name = 'Q') => {
    recorder.record('query', { name, document, variables });
    return inGraphiql(recorder.getSnapshot().at(-1), '/graphiql/');
  };
  const fieldsOf = (address) => Object.fromEntries(new URLSearchParams(address.split('#')[1]));
  const text = 'a & b # c + d = "e" \u{1f600}';
  assert.deepEqual(fieldsOf(asked('query Q { a }', { text })), {
    query: 'query Q { a }',
    variables: JSON.stringify({ text }),
  });
  const secrets = asked('mutation S { signIn(input: {password: "hush"}) { id } }', { password: 'hush', token: 'hush' });
  assert.ok(!secrets.includes('hush') && secrets.startsWith('/graphiql/#query='), secrets);
  assert.deepEqual(
    Object.keys(
      fieldsOf(
        asked(
          'query Q { a }',
          ['x', 'y', 'z', 'w'].map((x) => x.repeat(19_000)),
        ),
      ),
    ),
    ['query'],
  );
  assert.equal(asked('é'.repeat(19_000), null), '/graphiql/');
});

test('what is not waited for any longer is cancelled, and what fails otherwise is not', async () => {
  const recorder = newRecorder();
  const fails = { run: async (_, __, { signal } = {}) => Promise.reject(signal?.reason ?? new Error('no answer')) };
  const session = recorded(fails, recorder);
  await assert.rejects(session.run('query Left { a }', {}, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await assert.rejects(session.run('query Lost { a }'), /no answer/);
  assert.deepEqual(
    recorder.getSnapshot().map(({ name, code }) => [name, code]),
    [
      ['Left', 'cancelled'],
      ['Lost', 'INTERNAL'],
    ],
  );
});
