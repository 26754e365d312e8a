// The newcomer's path through the page, in a real browser against a running server:
//   PARLEY_URL=http://127.0.0.1:8080 npm test
// PARLEY_SCREENSHOT=folder keeps a picture of each step. CHROMIUM names another browser than /usr/bin/chromium.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  base,
  contentOf,
  editor,
  launch,
  open,
  openTab,
  picture,
  recordReply,
  run,
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

test('a newcomer signs up, sends a message and sees the reply grow', { timeout: 4 * timeout }, async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  const faults = watchForFaults(context, page);
  const sockets = [];
  page.on('websocket', (socket) => {
    const frames = [];
    socket.on('framesent', ({ payload }) => frames.push(JSON.parse(payload)));
    sockets.push(frames);
  });

  // Without the last slash, as people type it. "base" may have a path, as behind a proxy.
  await page.goto(`${base.replace(/\/$/, '')}/graphiql`);
  assert.match(page.url(), /\/graphiql\/$/);
  assert.equal(await page.title(), 'Parley GraphiQL');
  const query = editor(page, '.graphiql-query-editor');
  const response = editor(page, '.graphiql-response');
  await query.getByText('ada@example.com').waitFor();
  // The explorer of the API is filled by introspection; it is ready when the docs know the root types.
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.getByText('Root Types').waitFor();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
  await picture(page, '1-start');

  // A name nobody has: a double click selects the first word of the address, typing replaces it.
  const user = `u${randomUUID().replaceAll('-', '')}`;
  await query.getByText('"ada@example.com"').dblclick({ position: { x: 16, y: 8 } });
  await page.keyboard.type(user);
  await query.getByText(`"${user}@example.com"`).waitFor();
  await run(page);
  const notice = page.getByRole('status');
  await notice.getByText(`Signed in as ${user}@example.com`).waitFor();
  await response.getByText('"accessToken"').waitFor();
  await picture(page, '2-signed-up');

  await openTab(page, 'SendMessage');
  await page.getByRole('button', { name: 'Headers' }).click();
  await editor(page, '.graphiql-editor-tool')
    .getByText(/"Bearer\s\S+"/)
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Variables' }).click();
  await run(page);
  await notice.getByText('The id of the reply is now in the variables').waitFor();

  // From here on speed matters: the reply is being written.
  await recordReply(page);
  await openTab(page, 'WatchReply');
  await run(page);
  await page.waitForFunction(() => window.replyIsFinished, undefined, { timeout });
  const lengths = await page.evaluate(() => [...window.replyLengths]);
  assert.ok(lengths.length >= 10, `saw the reply with lengths ${lengths}, want it to grow in at least 10 steps`);
  assert.deepEqual(
    lengths,
    lengths.toSorted((a, b) => a - b),
    'the reply only grows',
  );
  await picture(page, '3-reply-finished');

  assert.equal(sockets.length, 1, 'one WebSocket for one subscription');
  assert.match(sockets[0][0].payload?.Authorization ?? '', /^Bearer \S+$/, 'the token travels in connection_init');

  // A second send goes on in the same conversation, and says so in the variables.
  await openTab(page, 'SendMessage');
  const { conversationId } = JSON.parse(await contentOf(page, 'variables.json'));
  assert.match(conversationId, /^cnv_/, 'the conversation of the first message');
  await run(page);
  await response.getByText(conversationId).waitFor();
  await picture(page, '4-second-message');

  // The tabs about the conversation and about its reply have their ids, and work.
  await openTab(page, 'ReplyDetails');
  await run(page);
  await response.getByText('"sentToModel"').waitFor();
  await openTab(page, 'ConversationSettings');
  assert.equal(JSON.parse(await contentOf(page, 'variables.json')).conversationId, conversationId);
  await run(page);
  await response.getByText('"LAST_N"').waitFor();

  // Another version of the reply is made and shown; the one that was left can be chosen again.
  await openTab(page, 'RegenerateReply');
  const { messageId } = JSON.parse(await contentOf(page, 'variables.json'));
  await run(page);
  await response.getByText('"siblingCount": 2').waitFor();
  await openTab(page, 'SelectBranch');
  assert.equal(JSON.parse(await contentOf(page, 'variables.json')).messageId, messageId);
  await openTab(page, 'EditMessage');
  assert.match(JSON.parse(await contentOf(page, 'variables.json')).messageId, /^msg_/);
  await run(page);
  await response.getByText('"siblingCount": 2').waitFor();
  await openTab(page, 'Versions');
  await run(page);
  await response.getByText('"siblingPosition": 1').waitFor();
  await openTab(page, 'ForkConversation');
  await run(page);
  await response.getByText('CONVERSATION_BUSY').or(response.getByText('"forkedFrom"')).waitFor();

  // A conversation made by hand is the one that the next message goes to.
  await openTab(page, 'NewConversation');
  await run(page);
  await notice.getByText('The next message of tab SendMessage goes to this conversation.').waitFor();
  await openTab(page, 'SendMessage');
  assert.notEqual(JSON.parse(await contentOf(page, 'variables.json')).conversationId, conversationId);

  // A visit later finds the same tabs, with the token still in the headers.
  const titles = () => page.locator('.graphiql-tab-button').allTextContents();
  const titlesBefore = await titles();
  // GraphiQL stores what was typed half a second later, each editor by itself.
  await page.waitForFunction(() => {
    const { tabs } = JSON.parse(localStorage.getItem('graphiql:tabState'));
    const stored = (name) => localStorage.getItem(`graphiql:${name}`) ?? '';
    const isSame = (tab) => ['query', 'variables', 'headers'].every((name) => (tab[name] ?? '') === stored(name));
    return tabs.every((tab) => /Bearer \w/.test(tab.headers)) && isSame(tabs[1]);
  });
  await page.reload();
  await editor(page, '.graphiql-query-editor')
    .getByText('mutation')
    .or(page.getByText('subscription'))
    .first()
    .waitFor();
  assert.deepEqual(await titles(), titlesBefore);
  await openTab(page, 'MyConversations');
  await run(page);
  await response.getByText('Latin lesson').waitFor();
  await page.getByRole('button', { name: /New tab/ }).click();
  await page.getByRole('button', { name: 'Headers' }).click();
  await editor(page, '.graphiql-editor-tool')
    .getByText(/"Bearer\s\S+"/)
    .first()
    .waitFor();
  await picture(page, '5-another-visit');

  assert.deepEqual(faults, []);
  await context.close();
});

for (const [name, viewport] of Object.entries({
  'on a desktop': { width: 1280, height: 800 },
  'on a telephone': { width: 390, height: 844 },
})) {
  test(`the model script shows a failure, ${name}`, { timeout: 2 * timeout }, async () => {
    const context = await browser.newContext({ viewport });
    const page = await open(context);
    const faults = watchForFaults(context, page);
    const user = `${randomUUID()}@example.com`;
    const signUp = (await contentOf(page, 'operation.graphql')).replace('ada@example.com', user);
    await type(page, 'operation.graphql', signUp);
    await run(page);
    const notice = page.getByRole('status');
    await notice.getByText(`Signed in as ${user}`).waitFor();

    // A long address leaves the button beside it on the screen.
    const button = await page.getByRole('button', { name: 'Open SendMessage' }).boundingBox();
    assert.ok(button.x + button.width <= viewport.width, `the button ends at ${button.x + button.width}`);

    await openTab(page, 'EveryState');
    await picture(page, `7-every-state-${viewport.width}`);
    await run(page);
    await notice.getByText('The id of the reply is now in the variables').waitFor();
    await page.getByRole('button', { name: 'Open WatchReply' }).click();
    await editor(page, '.graphiql-query-editor').getByText('Press play and see').waitFor();
    await run(page);
    // On a telephone the end of the response is out of sight.
    await page.waitForFunction(() =>
      globalThis.__MONACO.editor.getModels().some((model) => {
        const text = model.getValue();
        return ['"First I look', '"Tell me about', '"FAILED"', '"UPSTREAM_ERROR"'].every((seen) => text.includes(seen));
      }),
    );
    await picture(page, `8-failed-${viewport.width}`);
    assert.deepEqual(faults, []);
    await context.close();
  });
}

test('an address that has an account leads to SignIn, filled in', { timeout: 2 * timeout }, async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await open(context);
  const faults = watchForFaults(context, page);
  const email = `${randomUUID()}@example.com`;
  const signUp = (await contentOf(page, 'operation.graphql')).replace('ada@example.com', email);
  await type(page, 'operation.graphql', signUp.replace('battery staple', 'battery \\"staple\\"'));
  await run(page);
  const notice = page.getByRole('status');
  await notice.getByText(`Signed in as ${email}`).waitFor();
  const first = await tokenOf(page);

  await run(page);
  await notice.getByText(`There is an account for ${email} already.`).waitFor();
  await picture(page, '6-taken');
  await page.getByRole('button', { name: 'Open SignIn' }).click();
  await editor(page, '.graphiql-query-editor').getByText(email).waitFor();
  assert.match(await contentOf(page, 'operation.graphql'), /password: "correct horse battery \\"staple\\""/);
  await run(page);
  await notice.getByText(`Signed in as ${email}`).waitFor();
  assert.notEqual(await tokenOf(page), first, 'a session of its own');

  // Refused for another reason, it is not said to exist.
  await openTab(page, 'SignUp');
  await type(page, 'operation.graphql', signUp.replace(email, 'nobody'));
  await run(page);
  await editor(page, '.graphiql-response').getByText('is not an e-mail address').first().waitFor();
  await notice.getByText(`Signed in as ${email}`).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('the server understands every tab', { timeout }, async () => {
  const context = await browser.newContext();
  const page = await open(context);
  await page.waitForFunction(() => localStorage.getItem('graphiql:tabState'));
  const { tabs } = await page.evaluate(() => JSON.parse(localStorage.getItem('graphiql:tabState')));
  assert.ok(tabs.length > 6, `there are ${tabs.length} tabs`);
  for (const { title, query, variables } of tabs) {
    if (/^mutation Sign/.test(query.replaceAll(/#.*\n/g, '').trim())) continue; // They have tests of their own.
    const response = await fetch(`${base.replace(/\/$/, '')}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream, application/json' },
      body: JSON.stringify({ query, variables: JSON.parse(variables || '{}') }),
    });
    const answer = await response.text();
    // Nobody is signed in: it is refused for that, and not for what it says.
    assert.match(answer, /"UNAUTHENTICATED"|"viewer":null/, `${title}: ${answer}`);
  }
  await context.close();
});

test('the address of the API leads to the page', { timeout }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${base.replace(/\/$/, '')}/graphql`);
  assert.match(page.url(), /\/graphiql\/$/);
  await editor(page, '.graphiql-query-editor').getByText('Welcome to Parley').waitFor();
  await context.close();
});
