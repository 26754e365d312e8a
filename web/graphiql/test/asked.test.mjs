// An operation that a link brings, as the chat page makes them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base, contentOf, editor, launch, timeout, watchForFaults } from './page.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const titles = (page) => page.locator('.graphiql-tab-button').allTextContents();
const open = async (page, fields) => {
  // From elsewhere: another fragment alone would not load the page.
  await page.goto('about:blank');
  await page.goto(`${base}/graphiql/${fields ? `#${new URLSearchParams(fields)}` : ''}`);
  await editor(page, '.graphiql-query-editor').locator('.view-line').first().waitFor();
};

test('a link fills a tab, and runs nothing', { timeout: 2 * timeout }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  const faults = watchForFaults(context, page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.postData()));

  const variables = JSON.stringify({ content: '</script> & "all" #1' });
  await open(page, {
    query: 'mutation Asked($content:String!){deleteAccount(input:{password:$content}){userId}}',
    variables,
  });
  assert.equal((await titles(page))[0], 'Asked');
  assert.ok((await titles(page)).includes('SendMessage'), 'the starting tabs are gone');
  assert.match(await contentOf(page, 'operation.graphql'), /^mutation Asked\(\$content: String!\) \{\n/);
  assert.deepEqual(JSON.parse(await contentOf(page, 'variables.json')), JSON.parse(variables));
  assert.equal(new URL(page.url()).hash, '');

  // With tabs that are kept there is one more, whatever else the link says.
  await open(page, { query: '{ viewer', variables: '{', headers: '{"Authorization":"Bearer x"}' });
  assert.equal(await contentOf(page, 'operation.graphql'), '{ viewer');
  assert.equal(await contentOf(page, 'variables.json'), '{');
  assert.deepEqual(JSON.parse(await contentOf(page, 'request-headers.json')), { Authorization: 'Bearer ' });
  assert.ok((await titles(page)).includes('Asked'), 'a tab is gone');
  const before = await titles(page);

  for (const query of ['', ' ', `{ ${'a '.repeat(40_000)}}`]) await open(page, { query });
  assert.deepEqual(await titles(page), before);
  assert.ok(
    sent.every((body) => body.includes('__schema')),
    'something was run',
  );
  assert.deepEqual(faults, []);
  await context.close();
});
