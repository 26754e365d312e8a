// The frame of the page: signing in and out, the list of conversations, keys, languages, small screens.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base, desk, launch, look, newPerson, newer, phone, signIn, signUp, timeout, visit } from './page.mjs';

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

const limit = { timeout: 2 * timeout };
const list = (page) => page.getByRole('navigation', { name: 'Conversations' });
const create = 'mutation ($i: CreateConversationInput!) { createConversation(input: $i) { conversation { id } } }';

async function make(person, ...names) {
  const ids = [];
  for (const name of names) ids.push((await person.ask(create, { i: { name } })).createConversation.conversation.id);
  return ids;
}

test('a person makes an account, comes back, and leaves', limit, async (t) => {
  const page = await visit(t, browser);
  await signUp(page);
  await list(page).getByText('Your conversations will be listed here.').waitFor();
  const stored = await page.evaluate(() =>
    JSON.stringify({ ...localStorage, ...sessionStorage, cookie: document.cookie }),
  );
  assert.ok(!/ey[\w-]+\.|[\w-]{40,}/.test(stored), `something like a token is within reach of scripts: ${stored}`);
  await page.reload();
  await list(page).waitFor();
  await page.getByRole('textbox', { name: 'Message' }).fill('a thought half');
  await page.waitForFunction(() => Object.keys(localStorage).some((name) => name.startsWith('parley:draft:')));
  // Not every browser empties its store by itself.
  await page.route('**/session', async (route) => {
    const response = await route.fetch();
    const { 'clear-site-data': cleared, ...headers } = response.headers();
    assert.ok(cleared, 'the server asks for it');
    await route.fulfill({ response, headers });
  });
  await page.getByRole('button', { name: 'Settings and account' }).click();
  await page.getByRole('button', { name: 'Appearance' }).click();
  await page.getByRole('option', { name: 'Dark' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Welcome to Parley' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark', 'the theme is of the device, and stays');
  assert.deepEqual(
    await page.evaluate(() => Object.keys(localStorage)),
    ['parley:settings'],
    'something typed is left',
  );
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
});

test('a refused sign-in says what helps', limit, async (t) => {
  const page = await visit(t, browser);
  const person = await newPerson();
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('Address or password is not right.').waitFor();
  await page.getByRole('button', { name: 'Show password' }).click();
  assert.equal(await page.getByLabel('Password', { exact: true }).getAttribute('type'), 'text');
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByRole('alert').waitFor();
});

test('two windows show one list, live', limit, async (t) => {
  const person = await newPerson();
  const [oldest] = await make(person, 'Olives', 'Walnuts');
  const one = await visit(t, browser);
  const two = await visit(t, browser);
  for (const page of [one, two]) {
    await signIn(page, person);
    await list(page).getByRole('link', { name: 'Walnuts' }).waitFor();
  }
  const names = (page) => list(page).locator('.side-name').allTextContents();
  assert.deepEqual(await names(two), ['Walnuts', 'Olives']);
  await make(person, 'Plums');
  await list(two).getByRole('link', { name: 'Plums' }).waitFor();
  assert.deepEqual(await names(two), ['Plums', 'Walnuts', 'Olives']);

  // Renamed in place in one window, by keys alone.
  await list(one).getByRole('link', { name: 'Olives' }).focus();
  await one.keyboard.press('Tab');
  await one.keyboard.press('Enter');
  await one.locator('[role=menuitem]:focus').waitFor();
  await one.keyboard.press('Enter');
  await one.getByLabel('Name of the conversation').waitFor();
  await one.keyboard.type('Green olives');
  await one.keyboard.press('Enter');
  await list(two).getByRole('link', { name: 'Green olives' }).waitFor();

  const menu = async (page, name, item) => {
    await list(page).getByRole('link', { name }).hover();
    await page.getByRole('button', { name: `Actions for ${name}` }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  await menu(one, 'Green olives', 'Pin');
  await list(two).getByRole('heading', { name: 'Pinned' }).waitFor();
  assert.deepEqual(await names(two), ['Green olives', 'Plums', 'Walnuts']);

  await menu(one, 'Walnuts', 'Archive');
  await list(two).getByRole('link', { name: 'Walnuts' }).waitFor({ state: 'detached' });
  await one.getByRole('button', { name: 'Undo' }).click();
  await list(two).getByRole('link', { name: 'Walnuts' }).waitFor();

  await menu(one, 'Plums', 'Delete');
  await one.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await list(two).getByRole('link', { name: 'Plums' }).waitFor({ state: 'detached' });

  // A message puts its conversation in front.
  await person.ask(`mutation { sendMessage(input: {conversationId: "${oldest}", content: "Hello"}) { reply { id } } }`);
  await menu(two, 'Green olives', 'Unpin');
  await list(one).getByRole('heading', { name: 'Pinned' }).waitFor({ state: 'detached' });
  assert.deepEqual(await names(one), ['Green olives', 'Walnuts']);
});

test('a long list is loaded as it is scrolled, and looked through', limit, async (t) => {
  const person = await newPerson();
  const many = Array.from(
    { length: 130 },
    (_, i) => `c${i}: createConversation(input: {name: "Talk ${i}"}) { conversation { id } }`,
  );
  for (let i = 0; i < many.length; i += 5) await person.ask(`mutation { ${many.slice(i, i + 5).join(' ')} }`);
  const page = await visit(t, browser);
  await signIn(page, person);
  await list(page).getByRole('link', { name: 'Talk 129', exact: true }).waitFor();
  assert.ok((await list(page).locator('.side-link').count()) < 60, 'only what is seen is in the page');
  await page.keyboard.press('Control+k');
  await page.locator('[role=combobox]:focus').waitFor();
  await page.keyboard.type('tálk 3');
  await page.getByText('Looked through the newest', { exact: false }).waitFor();
  await page.getByRole('combobox').fill('TALK 7 ');
  while (await page.getByRole('button', { name: 'Look through older ones' }).isVisible()) {
    await page.getByRole('button', { name: 'Look through older ones' }).click();
    await page.waitForFunction(() => !document.querySelector('.side-find-end [aria-busy]'));
  }
  await page.getByText('Looked through all 130.').waitFor();
  await page.getByRole('combobox').fill('talk 12');
  await page.getByRole('combobox').press('ArrowDown');
  await page.getByRole('combobox').press('Enter');
  await page.waitForURL('**/c/*');
  await page.waitForFunction(() => document.title.startsWith('Talk 128'));
});

test('five tabs are one session, and end together', limit, async (t) => {
  const person = await newPerson();
  const page = await visit(t, browser);
  await signIn(page, person);
  const tabs = await Promise.all(Array.from({ length: 4 }, () => page.context().newPage()));
  await Promise.all(tabs.map((tab) => tab.goto(base)));
  await Promise.all(tabs.map((tab) => list(tab).waitFor()));
  await page.getByRole('button', { name: 'Settings and account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await Promise.all(tabs.map((tab) => tab.getByRole('button', { name: 'Sign in' }).waitFor()));
});

test('another server than the page came from is told of', limit, async (t) => {
  const person = await newPerson();
  const page = await visit(t, browser, { allow: /ERR_INTERNET_DISCONNECTED|WebSocket/ });
  await signIn(page, person);
  await list(page).getByText('Your conversations will be listed here.').waitFor();
  await page.route('**/graphql', newer);
  await page.context().setOffline(true);
  await page.getByText('You are offline.', { exact: false }).waitFor();
  await page.context().setOffline(false);
  await page.getByText('A newer version of this page is there.').waitFor();
  await page.getByText('You are offline.', { exact: false }).waitFor({ state: 'detached' });
});

// Each theme and each width once: the colours do not depend on the width.
for (const [colorScheme, device, viewport] of [
  ['light', 'desk', desk],
  ['dark', 'phone', phone],
  ['light', 'narrow', { width: 320, height: 640 }],
]) {
  test(`everybody can use it: ${colorScheme}, ${device}`, limit, async (t) => {
    const person = await newPerson();
    await make(
      person,
      'Reading list for the winter',
      'Why bread rises',
      'A letter to the landlord',
      'Names for a boat',
    );
    const page = await visit(t, browser, {
      viewport,
      colorScheme,
      bypassCSP: true,
      hasTouch: device !== 'desk',
      isMobile: device !== 'desk',
    });
    const name = (state) => `shell-${colorScheme}-${device}-${state}`;
    await page.getByRole('link', { name: 'Create an account' }).waitFor();
    await look(page, name('sign-in'));
    await page.getByRole('link', { name: 'Create an account' }).click();
    await look(page, name('sign-up'));
    await page.getByRole('link', { name: 'Sign in' }).click();
    await signIn(page, person);
    if (device !== 'desk') await page.getByRole('button', { name: 'Show conversations' }).click();
    await list(page).getByText('Why bread rises').waitFor();
    await look(page, name('list'));
    await page.getByRole('button', { name: 'Actions for Why bread rises' }).click();
    await look(page, name('menu'));
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Settings and account' }).click();
    await page.getByText(person.email).waitFor();
    await look(page, name('account'));
    await page.getByRole('button', { name: 'Language' }).click();
    await page.getByRole('option', { name: 'العربية' }).click();
    await page.getByRole('heading', { name: 'الإعدادات والحساب' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('dir'), 'rtl');
    await page.keyboard.press('Escape');
    await look(page, name('arabic'));
    if (device === 'narrow') return;
    await page.keyboard.press('Control+k');
    await look(page, name('find'));
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+/');
    await look(page, name('keys'));
  });
}
