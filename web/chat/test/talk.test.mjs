// The open talk in the real page, before a server of its own: every state of a message is made by the model `script`,
// and what is shown in the end is compared with what is stored.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Parley } from '../../../compat/lib/parley.mjs';
import { launch, look, newPerson, send, signIn, timeout, visit } from './page.mjs';

const limit = { timeout: 2 * timeout };
let parley, browser, person;

before(async () => {
  parley = await Parley.start({ PARLEY_SCRIPT: 'on', PARLEY_MODEL: 'script', PARLEY_SENDS_PER_MINUTE: '0' });
  browser = await launch();
  person = await newPerson(parley.url);
});

after(async () => {
  await browser?.close();
  await parley?.close();
});

/** enter opens the page, signed in. */
async function enter(t, options) {
  const page = await visit(t, browser, { server: parley.url, ...options });
  await signIn(page, person);
  return page;
}

const replies = (page, status) => page.locator(`.talk-reply${status ? `[data-status="${status}"]` : ''}`);
const questions = (page) => page.locator('.talk-question');
const press = (within, name) => within.getByRole('button', { name, exact: true }).last().click();
const talkId = (page) => page.url().split('/c/')[1];
const words = (text) => text.trim().split(/\s+/);

/** stored is what the server has of the talk that is open. */
async function stored(page) {
  const read = `query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { id role status content } } } }`;
  return (await person.ask(read, { id: talkId(page) })).conversation.messages.nodes;
}

/** agrees compares what is shown with what is stored: each message, once, in its order, to the last word. What is far
 * above is not in the page; at least the last so many messages are. */
async function agrees(page, least = 1) {
  const shown = await page.locator('article[data-message]').evaluateAll((articles) =>
    articles.map((article) => ({
      id: article.dataset.message,
      status: article.dataset.status,
      text: article.querySelector('.talk-bubble, .talk-prose')?.innerText ?? '',
    })),
  );
  const nodes = await stored(page);
  assert.ok(shown.length >= least, `${shown.length} messages are shown`);
  assert.deepEqual(
    shown.map(({ id, status, text }) => `${id} ${status} ${words(text).join(' ')}`),
    nodes.slice(-shown.length).map(({ id, status, content }) => `${id} ${status} ${words(content).join(' ')}`),
  );
  return nodes;
}

/** atEnd fails when the end is not what is seen. */
async function atEnd(page) {
  await page.waitForFunction(() => {
    const { scrollTop, scrollHeight, clientHeight } = document.querySelector('.talk-scroll');
    return scrollHeight - clientHeight - scrollTop <= 2;
  });
  assert.equal(await page.locator('.talk-to-end').count(), 0, 'nothing says that there is more');
}

/** grows waits until the running reply has at least so many words. */
const grows = (page, n) =>
  page.waitForFunction((least) => {
    const prose = document.querySelector('.talk-reply[data-status="STREAMING"] .talk-prose');
    return (prose?.innerText.split(/\s+/).length ?? 0) >= least;
  }, n);

test('a reply waits, thinks, is written, and is whole', limit, async (t) => {
  const page = await enter(t);
  await page.evaluate(() => {
    globalThis.states = [];
    const note = () => {
      const reply = document.querySelector('.talk-reply');
      const state = !reply
        ? document.querySelector('[data-status="SENDING"]') && 'sending'
        : reply.dataset.status !== 'STREAMING'
          ? reply.dataset.status
          : reply.querySelector('.talk-prose')
            ? 'writing'
            : reply.querySelector('details')
              ? 'thinking'
              : 'waiting';
      if (state && globalThis.states.at(-1) !== state) globalThis.states.push(state);
    };
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await send(page, '/wait 400 /think 1s /tokens 60 /slow 5');
  await replies(page, 'COMPLETED').waitFor();
  assert.deepEqual(await page.evaluate(() => globalThis.states), [
    'sending',
    'waiting',
    'thinking',
    'writing',
    'COMPLETED',
  ]);
  await replies(page)
    .getByText(/Thought for \ds/)
    .waitFor();
  await agrees(page, 2);
  await atEnd(page);

  // One rhythm: what belongs together is near, and paragraphs are apart.
  await send(page, '/markdown /slow 0');
  await replies(page, 'COMPLETED').nth(1).waitFor();
  await page.evaluate(() => document.querySelector('.talk-scroll').scrollTo(0, 0));
  // The list draws what has come into view a moment later.
  await page.waitForFunction(() => ['.talk-reply', '.talk-bubble', '.md'].every((one) => document.querySelector(one)));
  const gaps = await page.evaluate(() => {
    const box = (selector) => document.querySelector(selector).getBoundingClientRect();
    const [one, two] = [...[...document.querySelectorAll('.md')].at(-1).children].slice(-2);
    return {
      turn: box('.talk-reply').top - box('.talk-bubble').bottom,
      paragraphs: two.getBoundingClientRect().top - one.getBoundingClientRect().bottom,
    };
  });
  assert.ok(gaps.turn > 16 && gaps.turn <= 40, `${gaps.turn} px between a question and its reply`);
  assert.ok(gaps.paragraphs >= 10, `${gaps.paragraphs} px between paragraphs`);
});

test('what is sent before it is known who is signed in is sent', limit, async (t) => {
  const page = await enter(t);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const isViewer = (request) => request.postData()?.includes('query Viewer');
  await page.route('**/graphql', async (route) => {
    if (isViewer(route.request())) await held;
    await route.continue();
  });
  const asked = page.waitForRequest(isViewer);
  await page.reload();
  await asked;
  await send(page, 'At once /tokens 5');
  release();
  await replies(page, 'COMPLETED').waitFor();
  await agrees(page);
});

test('what ends early says why, and how it goes on', limit, async (t) => {
  const page = await enter(t);
  await send(page, '/tokens 300 /slow 0 /length');
  await page.getByText('The model stopped here because the reply had become as long as it may.').waitFor();
  const [, cut] = await agrees(page);
  await press(replies(page).last(), 'Go on');
  await page.getByText('Goes on from an earlier version').waitFor();
  await page.waitForFunction((id) => {
    const reply = document.querySelector('.talk-reply');
    return reply && reply.dataset.message !== id && reply.dataset.status === 'COMPLETED';
  }, cut.id);
  await atEnd(page);
  const [, whole] = await agrees(page);
  assert.ok(whole.content.startsWith(cut.content) && whole.content.length > cut.content.length, 'it goes on');

  await send(page, '/tokens 300 /slow 50');
  await grows(page, 5);
  // What is sent meanwhile waits; a stop takes the running one alone.
  await send(page, 'Later /slow 0');
  await replies(page, 'QUEUED').getByText('Next in line').waitFor();
  await page.getByRole('button', { name: 'Stop the reply' }).click();
  await replies(page, 'STOPPED').getByText('Stopped.').waitFor();
  await replies(page, 'COMPLETED').nth(1).waitFor();
  await agrees(page);

  await send(page, '/fail-at 5 /slow 0');
  await replies(page, 'FAILED').getByText('The model reported an error.').waitFor();
  for (const way of ['Go on', 'Again', 'With another model'])
    await replies(page, 'FAILED').locator('.talk-ways').getByRole('button', { name: way }).waitFor();
  await send(page, '/refuse');
  const refused = replies(page, 'FAILED').nth(1);
  await refused.getByText('The model refuses this content.').waitFor();
  assert.equal(await refused.getByRole('button', { name: 'Go on' }).count(), 0, 'there is nothing to go on from');
  await agrees(page);
  await atEnd(page);
});

test('a server that is killed in mid-reply loses nothing and repeats nothing', limit, async (t) => {
  const page = await enter(t, { allow: /./ });
  await send(page, '/tokens 120 /slow 15');
  await grows(page, 20);
  const seen = await replies(page).locator('.talk-prose').innerText();
  await parley.kill();
  await page
    .getByText(/Connection lost|Connecting again|The server restarts/)
    .first()
    .waitFor();
  await parley.start();
  await replies(page, 'COMPLETED').waitFor();
  const [, reply] = await agrees(page, 2);
  assert.equal(words(reply.content).length, 120, 'it is whole');
  assert.ok(words(reply.content).length > words(seen).length);
  assert.equal(await page.locator('article').count(), 2, 'once');
});

test('two windows grow alike; the second stops the reply, and follows to another version', limit, async (t) => {
  const one = await enter(t);
  await send(one, '/tokens 900 /slow 20');
  await grows(one, 5);
  const two = await enter(t, { path: `/c/${talkId(one)}` });
  await grows(two, 10);
  // Both are followed for some time: what one shows begins with what the other showed before.
  for (const n of [20, 40]) {
    await Promise.all([grows(one, n), grows(two, n)]);
    const [a, b] = await Promise.all([one, two].map((page) => replies(page).locator('.talk-prose').innerText()));
    assert.ok(a.startsWith(b.trimEnd()) || b.startsWith(a.trimEnd()), `${a}\n${b}`);
  }
  await two.getByRole('button', { name: 'Stop the reply' }).click();
  await Promise.all([one, two].map((page) => replies(page, 'STOPPED').getByText('Stopped.').waitFor()));
  const [, stopped] = await agrees(one, 2);
  await agrees(two, 2);
  assert.ok(words(stopped.content).length < 900);

  await press(replies(one), 'Again');
  await Promise.all([one, two].map((page) => page.locator('.talk-reply[data-status="STREAMING"]').waitFor()));
  await one.getByRole('button', { name: 'Stop the reply' }).click();
  await Promise.all([one, two].map((page) => replies(page, 'STOPPED').getByText('2/2').waitFor()));
  await one.keyboard.press('Escape');
  await one.locator('.talk-scroll').focus();
  await one.keyboard.press('Alt+ArrowLeft');
  for (const page of [one, two]) {
    await page.locator(`[data-message="${stopped.id}"]`).getByText('1/2').waitFor();
    await agrees(page, 2);
  }
  await press(replies(two), 'Later version');
  await Promise.all([one, two].map((page) => page.getByText('2/2').waitFor()));
  await agrees(one, 2);
  await agrees(two, 2);
});

test('a question is edited, corrected, deleted, and taken along', limit, async (t) => {
  const page = await enter(t);
  await send(page, 'First /slow 0');
  await replies(page, 'COMPLETED').waitFor();
  const more = async (within, item) => {
    await press(within, 'More');
    await page.getByRole('menuitem', { name: item }).click();
  };
  await press(questions(page), 'Edit and ask again');
  await send(page, 'Second /slow 0');
  await questions(page).getByText('2/2').waitFor();
  await replies(page, 'COMPLETED').getByText('Second', { exact: true }).waitFor();
  await agrees(page, 2);

  await more(replies(page), 'Correct');
  await page.getByRole('dialog').getByRole('textbox').fill('Corrected by hand');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await replies(page).getByText('edited').waitFor();
  const [, corrected] = await agrees(page, 2);
  assert.equal(corrected.content, 'Corrected by hand');

  const before = talkId(page);
  await more(replies(page), 'New conversation from here');
  await page.waitForURL((url) => url.pathname.startsWith('/c/') && !url.pathname.endsWith(before));
  await replies(page).getByText('Corrected by hand').waitFor();
  const copy = await agrees(page, 2);
  assert.notEqual(copy[1].id, corrected.id);

  await more(replies(page), 'Delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await replies(page).waitFor({ state: 'detached' });
  assert.equal((await agrees(page)).length, 1);
});

test('a lost network is no lost word', limit, async (t) => {
  const page = await enter(t, { allow: /./ });
  await send(page, '/tokens 120 /slow 15');
  await grows(page, 10);
  await page.context().setOffline(true);
  await page.getByText('You are offline.', { exact: false }).first().waitFor();
  await page.context().setOffline(false);
  await replies(page, 'COMPLETED').waitFor();
  const [, reply] = await agrees(page, 2);
  assert.equal(words(reply.content).length, 120);
});

test('a talk of 2,000 messages is light, and does not jump', limit, async (t) => {
  const add = `mutation ($i: AddMessagesInput!) { addMessages(input: $i) { conversation { id } } }`;
  let conversationId;
  for (let n = 0; n < 2000; n += 100) {
    const messages = Array.from({ length: 100 }, (_, i) => ({
      role: i % 2 ? 'ASSISTANT' : 'USER',
      content: `Number ${n + i}. ${'The tide comes and goes. '.repeat(1 + ((n + i) % 23))}`,
    }));
    conversationId = (await person.ask(add, { i: { conversationId, messages } })).addMessages.conversation.id;
  }
  const page = await enter(t, { path: `/c/${conversationId}`, bypassCSP: true });
  await page.getByText('Number 1999.').waitFor();
  await atEnd(page);
  // Each turn of the wheel moves what is seen by as much as it turned, also when older ones come in front.
  const jumps = await page.evaluate(async () => {
    const scroller = document.querySelector('.talk-scroll');
    const frame = () => new Promise(requestAnimationFrame);
    const tops = () =>
      new Map(
        [...document.querySelectorAll('article[data-message]')].map((one) => [
          one.dataset.message,
          one.getBoundingClientRect().top,
        ]),
      );
    const seen = new Set();
    let worst = 0;
    let most = 0;
    let compared = 0;
    for (let i = 0; i < 80; i++) {
      const before = tops();
      scroller.scrollBy(0, -400);
      await frame();
      await frame();
      await frame();
      const after = tops();
      for (const id of after.keys()) seen.add(id);
      most = Math.max(most, after.size);
      for (const [id, top] of after)
        if (before.get(id) > -200 && before.get(id) < 600 && ++compared)
          worst = Math.max(worst, Math.abs(top - before.get(id) - 400));
    }
    return { worst, most, compared, seen: seen.size };
  });
  assert.ok(jumps.most <= 60, `${jumps.most} messages are in the page`);
  assert.ok(jumps.seen > 110, `${jumps.seen} messages have been seen: older ones are loaded`);
  assert.ok(jumps.compared > 150, `${jumps.compared} places have been compared`);
  assert.ok(jumps.worst <= 2, `it jumps by ${jumps.worst} px`);
  await page.getByRole('button', { name: 'Jump to the end' }).click();
  await page.getByText('Number 1999.').waitFor();
  await atEnd(page);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await look(page, `talk-${colorScheme}`);
  }
});
