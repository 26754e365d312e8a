// What can happen to the line in the middle of a reply, in the real page: the server ends, the token, the session, the
// network. What is shown in the end is what is stored. A killed server and a network that is lost are in talk.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Parley } from '../../../compat/lib/parley.mjs';
import { launch, newPerson, newer, send, signIn, timeout, visit } from './page.mjs';

const limit = { timeout: 2 * timeout };
let browser, parley;

before(async () => {
  [browser, parley] = await Promise.all([
    launch(),
    // A socket ends with its token, and the client comes with a new one.
    Parley.start({
      PARLEY_SCRIPT: 'on',
      PARLEY_MODEL: 'script',
      PARLEY_ACCESS_TTL: '2s',
      PARLEY_SENDS_PER_MINUTE: '0',
    }),
  ]);
});

after(async () => {
  await browser?.close();
  await parley?.close();
});

const reply = (page, status) => page.locator(`.talk-reply[data-status="${status}"]`).last();
const words = (text) => text.trim().split(/\s+/);

/** begin opens the page for somebody and has a reply grow. */
async function begin(t, text, options) {
  const person = await newPerson(parley.url);
  const page = await visit(t, browser, { server: parley.url, ...options });
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket));
  await signIn(page, person);
  await send(page, text);
  await grows(page, 5);
  return { person, page, sockets };
}

const grows = (page, n) =>
  page.waitForFunction((least) => {
    const prose = document.querySelector('.talk-reply .talk-prose');
    return (prose?.innerText.split(/\s+/).length ?? 0) >= least;
  }, n);

async function stored({ person, page }) {
  const read = `query ($id: ID!) { conversation(id: $id) { messages(first: 9) { nodes { content } } } }`;
  const { conversation } = await person.ask(read, { id: page.url().split('/c/')[1] });
  return conversation.messages.nodes.map(({ content }) => words(content));
}

/** isWhole compares what is shown with what is stored, and with how long it was to be. */
async function isWhole(it, count) {
  await reply(it.page, 'COMPLETED').waitFor();
  const messages = await stored(it);
  assert.equal(messages.length, 2, 'sent once');
  assert.equal(messages[1].length, count);
  assert.deepEqual(words(await it.page.locator('.talk-prose').innerText()), messages[1]);
}

// These wait for replies most of their time, and do not touch the server.
describe('the server goes on', { concurrency: true }, () => {
  test('a token that ends in mid-reply is renewed, and no word is lost', limit, async (t) => {
    const it = await begin(t, '/tokens 200 /slow 25');
    await isWhole(it, 200);
    assert.ok(it.sockets.length > 1, 'the socket has not ended with its token');
    assert.equal(await it.page.locator('.app-banner').count(), 0, 'that is nothing to be told');
  });

  test('a session that is revoked in mid-reply asks to sign in, and shows the rest', limit, async (t) => {
    const it = await begin(t, '/tokens 300 /slow 10', { allow: /401/ });
    const { person, page } = it;
    const path = new URL(page.url()).pathname;
    await person.ask('mutation ($i: ChangePasswordInput!) { changePassword(input: $i) { user { id } } }', {
      i: { currentPassword: person.password, newPassword: 'five loud lanterns' },
    });
    await page.getByText('You have been signed out.', { exact: false }).waitFor();
    assert.equal(await page.locator('.talk-prose').count(), 0, 'what was seen is still in the page');
    await signIn(page, { ...person, password: 'five loud lanterns' });
    await page.waitForURL(`**${path}`);
    await isWhole(it, 300);
  });

  test('over a slow network the text comes late, and whole', limit, async (t) => {
    const it = await begin(t, '/tokens 100 /slow 2');
    const { page } = it;
    const network = await page.context().newCDPSession(page);
    await network.send('Network.enable');
    const slow = { offline: false, latency: 400, downloadThroughput: 20_000, uploadThroughput: 20_000 };
    await network.send('Network.emulateNetworkConditions', slow);
    await send(page, '/tokens 60 /slow 5');
    await page.locator('.talk-reply[data-status="COMPLETED"]').nth(1).waitFor();
    const messages = await stored(it);
    assert.equal(messages.length, 4, 'a slow answer is no lost one: each is sent once');
    assert.deepEqual(words(await page.locator('.talk-prose').last().innerText()), messages[3]);
    assert.equal(await page.locator('.comp-row').count(), 0, 'nothing is left to be sent');
  });

  test('a refresh that five tabs want at once goes out once', limit, async (t) => {
    const person = await newPerson(parley.url);
    const page = await visit(t, browser, { server: parley.url });
    await signIn(page, person);
    const refreshes = [];
    const list = (tab) => tab.getByRole('navigation', { name: 'Conversations' });
    await list(page).waitFor();
    const tabs = [page, ...(await Promise.all(Array.from({ length: 4 }, () => page.context().newPage())))];
    await Promise.all(tabs.slice(1).map((tab) => tab.goto(parley.url)));
    await Promise.all(tabs.map((tab) => list(tab).waitFor()));
    page.context().on('response', (response) => {
      if (response.url().endsWith('/session/refresh')) refreshes.push(response.status());
    });
    // All sockets end with the one token that all tabs have. Each tab then shows what is made with the next one.
    const create = `mutation { createConversation(input: { name: "NAME" }) { conversation { id } } }`;
    for (let round = 1; round <= 2; round++) {
      const before = refreshes.length;
      await page.context().waitForEvent('response', (response) => response.url().endsWith('/session/refresh'));
      await person.ask(create.replace('NAME', `Round ${round}`));
      await Promise.all(tabs.map((tab) => list(tab).getByText(`Round ${round}`).waitFor()));
      assert.ok(refreshes.length - before <= 2, `${refreshes.length - before} refreshes of five tabs`);
    }
    assert.ok(
      refreshes.every((status) => status === 200),
      refreshes.join(),
    );
  });
});

test('a server that is asked to end, and one with a newer page that comes after it', limit, async (t) => {
  const it = await begin(t, '/tokens 300 /slow 10', { allow: /ERR_CONNECTION|ERR_EMPTY|WebSocket|50[23]/ });
  const { page } = it;
  await page.getByRole('textbox', { name: 'Message' }).fill('half a thought');
  await page.route('**/graphql', newer);
  // Asked once, it waits for its replies, and once more it does not.
  const ended = parley.stop();
  await page.getByText('The server restarts.').waitFor();
  await Promise.all([ended, parley.stop()]);
  await parley.start();
  await page.getByText('A newer version of this page is there.').waitFor();
  await isWhole(it, 300);
  // The page that is loaded in its place has the reply and what was typed.
  await page.unrouteAll({ behavior: 'wait' });
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Load again' }).click()]);
  await page.waitForFunction(() => document.querySelector('textarea')?.value === 'half a thought');
  await isWhole(it, 300);
  assert.equal(await page.getByText('A newer version').count(), 0);
});
