// What the tests of the chat page share: what a person does in it, and how it is looked at. A test opens a visit, which
// ends by itself and fails when anything happened that must not: an error in the console, a violation of the policy, a
// request to elsewhere.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { base, launch as launchBy, picture, timeout, watchForFaults } from '../../testing/browser.mjs';

export { base, picture, timeout };

export const launch = () => launchBy(chromium);

export const desk = { width: 1280, height: 800 };
export const phone = { width: 390, height: 844 };

const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const password = 'four quiet lanterns';

/** newPerson makes an account over the API, and returns what it signs in with and how to ask as this person. */
export async function newPerson(server = base) {
  const email = `${randomUUID()}@example.org`;
  const made = await ask(server, null, 'mutation ($i: SignUpInput!) { signUp(input: $i) { accessToken } }', {
    i: { email, password, name: 'Ada' },
  });
  const token = made.signUp.accessToken;
  return { email, password, token, ask: (document, variables) => ask(server, token, document, variables) };
}

async function ask(server, token, query, variables) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(`${server}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

/** visit opens the page in a context of its own. Faults that a test is about are allowed by a pattern. */
export async function visit(t, browser, { path = '/', allow, server = base, ...options } = {}) {
  // axe comes from outside of the page, which its policy forbids: visits that are looked at by it have bypassCSP.
  const context = await browser.newContext({ viewport: desk, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  const faults = watchForFaults(context, page, server);
  t.after(async () => {
    await context.close();
    assert.deepEqual(allow ? faults.filter((fault) => !allow.test(fault)) : faults, []);
  });
  await page.goto(server + path);
  return page;
}

/** signIn fills in the form. */
export async function signIn(page, person) {
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page
    .getByRole('button', { name: 'Settings and account' })
    .or(page.getByRole('button', { name: 'Show conversations' }))
    .first()
    .waitFor();
}

/** signUp makes an account in the page. */
export async function signUp(page) {
  const person = { email: `${randomUUID()}@example.org`, password };
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByRole('navigation', { name: 'Conversations' }).waitFor({ state: 'attached' });
  return person;
}

/** openTalk opens a conversation from the list. */
export async function openTalk(page, name) {
  await page.getByRole('navigation').getByRole('link', { name }).click();
  await page.waitForURL('**/c/*');
}

/** send writes a message and sends it. */
export async function send(page, text) {
  await page.getByRole('textbox').last().fill(text);
  await page.keyboard.press('Enter');
}

/** tabTo goes there by Tab, as somebody without a pointer does. */
export async function tabTo(page, target, key = 'Tab') {
  await target.waitFor();
  for (let i = 0; i < 80; i++) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`${target} is not reached by ${key}`);
}

/** focusIs waits until the focus is there. */
export async function focusIs(target) {
  await target
    .and(target.page().locator(':focus'))
    .waitFor()
    .catch(async () => {
      const at = await target.page().evaluate(() => document.activeElement?.outerHTML.slice(0, 200));
      assert.fail(`the focus is not at ${target}, but at ${at}`);
    });
}

/** look is what everybody must find: nothing for axe, and nothing wider than the screen. */
export async function look(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    await Promise.all(
      document
        .getAnimations()
        .filter((one) => one.effect.getComputedTiming().iterations !== Infinity)
        .map((one) => one.finished.catch(() => {})),
    );
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map((node) => `${node.html.slice(0, 120)} ${node.any[0]?.message ?? ''}`).join(' | ')}`,
    );
  });
  await picture(page, name);
  assert.deepEqual(found, [], name);
  const { width } = page.viewportSize();
  const needed = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(needed <= width, `${name}: ${needed} pixels wide on a screen of ${width}`);
}

/** newer answers what the page asks of its server as one with a newer page would: for page.route. */
export async function newer(route) {
  if (!route.request().postData()?.includes('query Site')) return route.continue();
  const response = await route.fetch();
  const answer = await response.json();
  answer.data.site.version = 'later';
  await route.fulfill({ response, json: answer });
}
