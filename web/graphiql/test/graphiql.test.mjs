// The newcomer's path through the page, in a real browser against a running server:
//   PARLEY_URL=http://127.0.0.1:8080 npm test
// PARLEY_SCREENSHOT=folder keeps a picture of each step. CHROMIUM names another browser than /usr/bin/chromium.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const base = process.env.PARLEY_URL;
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const screenshots = process.env.PARLEY_SCREENSHOT;
const timeout = 30_000;

let browser;

before(async () => {
  assert.ok(base, 'PARLEY_URL must name a running server, for example http://127.0.0.1:8080');
  assert.ok(existsSync(executablePath), `no Chromium at ${executablePath}: apt-get install chromium, or set CHROMIUM`);
  browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
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
  assert.ok(lengths.length >= 3, `saw the reply with lengths ${lengths}, want it to grow in at least 3 steps`);
  assert.deepEqual(
    lengths,
    lengths.toSorted((a, b) => a - b),
    'the reply only grows',
  );
  await picture(page, '3-reply-finished');

  assert.equal(sockets.length, 1, 'one WebSocket for one subscription');
  assert.match(sockets[0][0].payload?.Authorization ?? '', /^Bearer \S+$/, 'the token travels in connection_init');

  // A visit later finds the same tabs, with the token still in the headers.
  const titles = () => page.locator('.graphiql-tab-button').allTextContents();
  const titlesBefore = await titles();
  await page.waitForFunction(() => localStorage.getItem('graphiql:tabState')?.match(/Bearer [^\\"]+/g)?.length >= 6);
  await page.reload();
  await editor(page, '.graphiql-query-editor')
    .getByText('mutation')
    .or(page.getByText('subscription'))
    .first()
    .waitFor();
  assert.deepEqual(await titles(), titlesBefore);
  await openTab(page, 'MyConversations');
  await run(page);
  await response.getByText('"nodes"').waitFor();
  await page.getByRole('button', { name: /New tab/ }).click();
  await page.getByRole('button', { name: 'Headers' }).click();
  await editor(page, '.graphiql-editor-tool')
    .getByText(/"Bearer\s\S+"/)
    .first()
    .waitFor();
  await picture(page, '4-another-visit');

  assert.deepEqual(faults, []);
  await context.close();
});

/** watchForFaults collects everything that must not happen on any page of the context. */
function watchForFaults(context, page) {
  const faults = [];
  const host = new URL(base).host;
  page.on('console', (message) => {
    // Chromium reports a violation of the content security policy as a console error.
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  page.on('websocket', (socket) => new URL(socket.url()).host === host || faults.push(`socket to ${socket.url()}`));
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.host !== host) faults.push(`request to ${url}`);
  });
  context.on(
    'response',
    (response) => response.status() >= 400 && faults.push(`${response.status()} for ${response.url()}`),
  );
  return faults;
}

/** The text of a Monaco editor as the user sees it. */
function editor(page, section) {
  return page.locator(`${section} .view-lines`).filter({ visible: true });
}

/** openTab waits until the editor shows the tab: pressing play sooner would run the operation of the tab before. */
async function openTab(page, title) {
  await page.getByRole('button', { name: title, exact: true }).click();
  await editor(page, '.graphiql-query-editor').getByText(title).last().waitFor();
}

async function run(page) {
  await page.getByRole('button', { name: /^Execute query/ }).click();
}

/** recordReply notes each length of the text in the response pane until the reply is complete. */
async function recordReply(page) {
  await page.evaluate(() => {
    const pane = document.querySelector('.graphiql-response .view-lines');
    window.replyLengths = new Set();
    window.replyIsFinished = false;
    const look = () => {
      // Monaco positions its lines freely: their order on the screen is not the order of the elements.
      const lines = [...pane.querySelectorAll('.view-line')].sort(
        (a, b) => parseInt(a.style.top) - parseInt(b.style.top),
      );
      const text = lines
        .map((line) => line.textContent)
        .join('')
        .replaceAll('\u00a0', ' ');
      if (!text.includes('"messageEvents"')) return;
      const content = /"content": "(.*)"/.exec(text)?.[1];
      if (content !== undefined) window.replyLengths.add(content.length);
      if (text.includes('"COMPLETED"')) window.replyIsFinished = true;
    };
    new MutationObserver(look).observe(pane, { childList: true, subtree: true, characterData: true, attributes: true });
  });
}

async function picture(page, name) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}
