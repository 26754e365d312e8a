// A text that another app shares becomes the draft of a new talk: only text, kept through the sign-in, never sent.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base, launch, newPerson, signIn, timeout, visit } from './page.mjs';
import { withSources } from './source.mjs';

const limit = { timeout: 2 * timeout };
let browser, sharedIn;
before(async () => (browser = await launch()));
after(() => browser?.close());
withSources(async (load) => ({ sharedIn } = await load('composer/shared.ts')));

const hostile = '<img src=x onerror=alert(1)> & "quotes" </textarea><script>alert(2)</script> שלום \u202e';
const query = (fields) => `?${new URLSearchParams(fields)}`;
const box = (page) => page.getByRole('textbox').last();
const holds = (page, text) =>
  page
    .waitForFunction((text) => document.querySelector('textarea')?.value === text, text)
    .catch(async () => {
      assert.equal(await box(page).inputValue(), text);
    });

test('a share is the lines that it brings, each once, and has an end', () => {
  const of = (fields) => sharedIn(query(fields));
  assert.equal(of({ title: 'A', text: 'B', url: 'https://c.example/' }), 'A\nB\nhttps://c.example/');
  assert.equal(of({ title: 'B', text: 'A B https://c.example/', url: 'https://c.example/' }), 'A B https://c.example/');
  assert.equal(of({ title: ' ', text: '', url: 'x' }), 'x');
  assert.equal(of({ text: 'a\u0000b\r\nc\td' }), 'ab\nc\td');
  assert.equal(of({ other: 'A' }), '');
  assert.equal(of({ text: 'x'.repeat(20_000) }).length, 10_000);
  assert.ok(of({ text: `${'x'.repeat(9_999)}😀` }).isWellFormed());
});

test('a share outlives the sign-in and a reload, and joins the draft', limit, async (t) => {
  const person = await newPerson();
  const page = await visit(t, browser, { path: `/${query({ title: 'From elsewhere', text: hostile })}` });
  const sent = [];
  page.on('request', (request) => /sendMessage/.test(request.postData() ?? '') && sent.push(request.url()));
  page.on('dialog', (dialog) => sent.push(dialog.message()));
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(page.url(), `${base}/`, 'the text stays in the address');
  await page.reload();
  await signIn(page, person);
  await holds(page, `From elsewhere\n${hostile}`);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, 'it is kept for ever');
  await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith('parley:draft:')));
  await page.reload();
  await holds(page, `From elsewhere\n${hostile}`);

  // Who is signed in gets the next one below what stands there; an empty one changes nothing.
  await page.goto(`${base}/${query({ url: 'https://example.org/' })}`);
  await holds(page, `From elsewhere\n${hostile}\n\nhttps://example.org/`);
  await page.waitForFunction(() => JSON.stringify({ ...localStorage }).includes('https://example.org/'));
  await page.goto(`${base}/${query({ text: ' ', other: 'x' })}`);
  await holds(page, `From elsewhere\n${hostile}\n\nhttps://example.org/`);
  assert.equal(await page.locator('article').count(), 0);
  assert.deepEqual(sent, []);
});
