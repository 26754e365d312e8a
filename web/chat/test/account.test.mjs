// The account in two browsers side by side, without a pointer.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { focusIs, launch, newPerson, signIn, tabTo, timeout, visit } from './page.mjs';

const limit = { timeout: 2 * timeout };
let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const create = 'mutation ($i: CreateConversationInput!) { createConversation(input: $i) { conversation { id } } }';
const button = (page, name) => page.getByRole('button', { name, exact: true });
const field = (page, name) => page.getByLabel(name, { exact: true });
const press = async (page, target) => {
  await tabTo(page, target);
  await page.keyboard.press('Enter');
};
const type = async (page, name, text) => {
  await tabTo(page, field(page, name));
  await page.keyboard.press('Control+a');
  await page.keyboard.type(text);
};

test('a changed password ends the other device, which keeps its draft', limit, async (t) => {
  const person = await newPerson();
  const { id } = (await person.ask(create, { i: { name: 'Figs' } })).createConversation.conversation;
  const path = `/c/${id}`;
  const here = await visit(t, browser, { path });
  const there = await visit(t, browser, { path, allow: /401/ });
  for (const page of [here, there]) await signIn(page, person);
  await there.getByRole('textbox', { name: 'Message' }).fill('half a thought');
  await there.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith('parley:draft:')));

  const opener = button(here, 'Settings and account');
  await press(here, opener);
  const change = button(here, 'Change password');
  await press(here, change);
  await focusIs(field(here, 'Current password'));
  // Left, it gives the focus back.
  await press(here, button(here, 'Cancel'));
  await focusIs(change);
  await here.keyboard.press('Enter');

  // What is wrong is said at its field, where the focus goes.
  await focusIs(field(here, 'Current password'));
  await here.keyboard.type('five loud lanterns');
  await type(here, 'New password', 'six red lanterns');
  await here.keyboard.press('Enter');
  await here.getByRole('alert').getByText('This is not your password.').waitFor();
  await focusIs(field(here, 'Current password'));
  await here.getByRole('textbox', { description: 'This is not your password.' }).waitFor();
  await type(here, 'Current password', person.password);
  await type(here, 'New password', 'password1');
  await here.keyboard.press('Enter');
  await focusIs(field(here, 'New password'));
  // It has had the focus before the answer came.
  await field(here, 'New password').and(here.locator('[aria-invalid="true"]')).waitFor();
  assert.equal(await field(here, 'Current password').getAttribute('aria-invalid'), null);
  assert.equal(new URL(there.url()).pathname, path, 'a refused change has ended the other device');

  await here.keyboard.press('Control+a');
  await here.keyboard.type('six red lanterns');
  await here.keyboard.press('Enter');
  await here.getByText('The password is changed.', { exact: false }).first().waitFor();
  await focusIs(change);
  await here.keyboard.press('Escape');
  await focusIs(opener);

  await there.getByText('You have been signed out.', { exact: false }).waitFor();
  await signIn(there, { ...person, password: 'six red lanterns' });
  await there.waitForURL(`**${path}`);
  await there.waitForFunction(() => document.querySelector('textarea')?.value === 'half a thought');

  // Whoever changed it goes on, also in a page that is loaded anew, and leaves by the keyboard.
  await here.reload();
  await press(here, opener);
  await press(here, button(here, 'Sign out'));
  await here.getByRole('heading', { name: 'Welcome to Parley' }).waitFor();
  await button(there, 'Settings and account').waitFor();
});
