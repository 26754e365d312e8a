// Tokens are renewed by the page itself: before they end, when they are refused, over WebSockets, and once for all tabs
// of the browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Parley, call, password, signUp } from '../../../compat/lib/parley.mjs';
import {
  base,
  contentOf,
  editor,
  launch,
  open,
  openTab,
  picture,
  run,
  signIn,
  timeout,
  tokenOf,
  type,
  watchForFaults,
} from './page.mjs';

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

/** visit opens the page as somebody who is signed in, and counts what it asks for. */
async function visit(t) {
  const { email, token } = await signUp(base);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  t.after(() => context.close());
  const page = await open(context);
  await signIn(page, email, password);
  const asked = { refreshSession: 0, sendMessage: 0 };
  context.on('request', (request) => {
    for (const name of Object.keys(asked)) if (request.postData()?.includes(name)) asked[name]++;
  });
  return { context, page, asked, token };
}

/** age makes the access tokens of the browser seem about to end, and returns when all pages see it. */
async function age(...pages) {
  const prefix = 'graphiql:parley-session:';
  await pages[0].evaluate((prefix) => {
    for (const key of Object.keys(localStorage).filter((key) => key.startsWith(prefix))) {
      localStorage.setItem(key, JSON.stringify({ ...JSON.parse(localStorage.getItem(key)), renewAt: 0 }));
    }
  }, prefix);
  const isOld = (prefix) => {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    return keys.every((key) => JSON.parse(localStorage.getItem(key)).renewAt === 0);
  };
  for (const page of pages) await page.waitForFunction(isOld, prefix);
}

const hasNodes = (page) => editor(page, '.graphiql-response').getByText('"nodes"').waitFor();

test('a token is renewed before it ends, and once for all tabs of the browser', { timeout: 3 * timeout }, async (t) => {
  const { context, page, asked } = await visit(t);
  const faults = watchForFaults(context, page);
  const before = await tokenOf(page);
  await page.waitForFunction((token) => localStorage.getItem('graphiql:tabState')?.includes(token), before);
  const other = await open(context);
  const pages = [page, other];
  for (const page of pages) await openTab(page, 'MyConversations');
  assert.equal(await tokenOf(other), before);

  // The first refresh is held until the other tab wants one, too: it waits for the lock, or asks a second time.
  const isAwaited = () => page.evaluate(async () => (await navigator.locks.query()).pending.length > 0);
  await context.route('**/graphql', async (route) => {
    if (route.request().postData()?.includes('refreshSession')) {
      while (asked.refreshSession < 2 && !(await isAwaited()));
    }
    await route.continue();
  });
  await age(...pages);
  await Promise.all(pages.map(run));
  await Promise.all(pages.map(hasNodes));

  assert.equal(asked.refreshSession, 1, 'a refresh token works once');
  const now = await Promise.all(pages.map(tokenOf));
  assert.notEqual(now[0], before);
  assert.equal(now[1], now[0], 'both tabs show the new token');
  await openTab(page, 'SendMessage');
  assert.equal(await tokenOf(page), now[0], 'and so do the tabs of GraphiQL');
  assert.deepEqual(faults, []);
});

test('a token that is refused is renewed, and the operation runs once', { timeout: 3 * timeout }, async (t) => {
  const { context, page, asked } = await visit(t);
  const before = await tokenOf(page);
  await openTab(page, 'SendMessage');
  await context.route('**/graphql', (route) => {
    const headers = route.request().headers();
    const isOld = headers.authorization === `Bearer ${before}`;
    return route.continue(isOld ? { headers: { ...headers, authorization: 'Bearer damaged' } } : {});
  });
  await run(page);
  await page.getByRole('status').getByText('The id of the reply').waitFor();
  assert.deepEqual(asked, { refreshSession: 1, sendMessage: 2 });
  assert.notEqual(await tokenOf(page), before);
  await openTab(page, 'MyConversations');
  await run(page);
  await hasNodes(page);
  assert.equal((await contentOf(page, 'response.json')).match(/"cnv_/g).length, 1, 'one conversation was made');
});

test('a session that is over says so, and a token of somebody else is left alone', { timeout: 3 * timeout }, async (t) => {
  const { page, asked, token: pasted } = await visit(t);
  await openTab(page, 'MyConversations');
  const own = await contentOf(page, 'request-headers.json');
  await age(page);
  await type(page, 'request-headers.json', JSON.stringify({ Authorization: `Bearer ${pasted}` }));
  await run(page);
  await hasNodes(page);
  assert.equal(asked.refreshSession, 0, 'the page knows no refresh token for what was pasted');

  await type(page, 'request-headers.json', own);
  await call(base, 'mutation { signOut { signedOut } }', {}, await tokenOf(page));
  await run(page);
  await page.getByRole('status').getByText('The session is over. Sign in again').waitFor();
  assert.equal(asked.refreshSession, 1);
  assert.equal(await tokenOf(page), '', 'the headers hold no token that is of no use');
  await picture(page, '7-session-over');
});

test('who does not want headers stored has no refresh token stored', { timeout: 2 * timeout }, async (t) => {
  const { page, asked } = await visit(t);
  const keys = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('parley-session')));
  assert.equal((await keys()).length, 1);
  await page.getByRole('button', { name: 'Open settings dialog' }).click();
  await page.getByRole('button', { name: 'Off' }).click();
  await page.keyboard.press('Escape');
  await openTab(page, 'MyConversations');
  await run(page);
  await hasNodes(page);
  assert.deepEqual(await keys(), []);

  // This page knows it still.
  await page.evaluate(() => (Date.now = ((now) => () => now() + 3_600_000)(Date.now)));
  const before = await tokenOf(page);
  await run(page);
  while ((await tokenOf(page)) === before);
  assert.equal(asked.refreshSession, 1);
  assert.deepEqual(await keys(), []);
});

test('a reply is followed past the end of the token', { timeout: 3 * timeout }, async (t) => {
  const parley = await Parley.start({ PARLEY_ACCESS_TTL: '5s' });
  t.after(() => parley.close());
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  t.after(() => context.close());
  const page = await open(context, parley.url);
  const faults = watchForFaults(context, page, parley.url);
  const tokens = [];
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      const message = JSON.parse(payload);
      if (message.type === 'connection_init') tokens.push(message.payload.Authorization);
    }),
  );
  await run(page);
  const notice = page.getByRole('status');
  await notice.getByText('Signed in as ada@example.com').waitFor();
  await openTab(page, 'SendMessage');
  // The built-in model says a word each 200 ms: this takes ten seconds.
  const content = `I need ${Array.from({ length: 42 }, (_, i) => `thing${i}`).join(' ')}`;
  await type(page, 'variables.json', JSON.stringify({ content }));
  await run(page);
  await notice.getByText('The id of the reply').waitFor();
  await openTab(page, 'WatchReply');
  await run(page);
  await page.waitForFunction(
    () => globalThis.__MONACO.editor.getModels().some((model) => model.getValue().includes('"COMPLETED"')),
    undefined,
    { timeout },
  );
  assert.match(await contentOf(page, 'response.json'), /thing0 .* thing41/, 'the whole reply');
  assert.ok(new Set(tokens).size >= 2, `the sockets had ${new Set(tokens).size} tokens, want a fresh one for the second`);
  assert.equal(await tokenOf(page), tokens.at(-1).replace('Bearer ', ''), 'the headers show the latest');
  assert.deepEqual(faults, []);
});
