// What one person has written or seen does not stay in the browser for the next one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, newPerson, signIn, timeout, visit } from './page.mjs';

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

const limit = { timeout: 2 * timeout };
const create = 'mutation ($i: CreateConversationInput!) { createConversation(input: $i) { conversation { id } } }';
const kept = (page) => page.evaluate(() => JSON.stringify({ ...localStorage }));
const leave = async (page) => {
  await page.getByRole('button', { name: 'Settings and account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  await page.getByRole('heading', { name: 'Welcome to Parley' }).waitFor();
};

test('signing out throws away what was typed, in all windows', limit, async (t) => {
  const person = await newPerson();
  const page = await visit(t, browser);
  await signIn(page, person);
  const other = await page.context().newPage();
  await other.goto(page.url());
  await page.getByRole('textbox').last().fill('my quiet secret');
  await page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith('parley:draft:')));
  // A page that only shows a draft must not write it again as it goes.
  await page.reload();
  await page.waitForFunction(() => document.querySelector('textarea')?.value === 'my quiet secret');
  await other.reload();
  await other.waitForFunction(() => document.querySelector('textarea')?.value === 'my quiet secret');
  await leave(page);
  await other.waitForURL('**/sign-in?**');
  assert.ok(!/draft|secret/.test(await kept(page)), await kept(page));
});

test('a page that the browser brings back as it was is loaded anew', limit, async (t) => {
  const person = await newPerson();
  await person.ask(create, { i: { name: 'A quiet secret' } });
  const page = await visit(t, browser);
  await signIn(page, person);
  await page.getByText('A quiet secret').first().waitFor();
  const loaded = page.waitForEvent('load');
  // Playwright turns off the browser's memory of pages.
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await loaded;
  await leave(page);
  await page.goBack();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(await page.getByText('A quiet secret').count(), 0);
});
