// Everything without a pointer: from the sign-up to the deletion. The focus is never lost, whatever closes or goes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Parley } from '../../../compat/lib/parley.mjs';
import { focusIs, launch, newPerson, signIn, tabTo, timeout, visit } from './page.mjs';

const limit = { timeout: 2 * timeout };
let browser, parley;

before(async () => {
  [browser, parley] = await Promise.all([launch(), Parley.start({ PARLEY_SCRIPT: 'on', PARLEY_MODEL: 'script' })]);
});

after(async () => {
  await browser?.close();
  await parley?.close();
});

const button = (within, name) => within.getByRole('button', { name, exact: true }).last();
const box = (page) => page.getByRole('textbox', { name: 'Message' });
const list = (page) => page.getByRole('navigation', { name: 'Conversations' });
const reply = (page, status) => page.locator(`.talk-reply[data-status="${status}"]`).last();
const question = (page) => page.locator('.talk-question').last();
const focused = (page) => page.locator(':focus');

/** Each step goes by Tab to what it presses. The mouse of the page is broken. */
function hands(page) {
  page.mouse.click = () => assert.fail('no pointer');
  const press = async (target, key = 'Enter') => {
    await tabTo(page, target);
    await page.keyboard.press(key);
  };
  const choose = async (menu, item) => {
    await press(menu);
    await page.locator('[role=menuitem]:focus').waitFor();
    await page.keyboard.press(item[0]);
    await focused(page)
      .and(page.getByRole('menuitem', { name: item, exact: true }))
      .waitFor();
    await page.keyboard.press('Enter');
  };
  /** The focus is somewhere, also when all that is under way has come to its end. */
  const isSomewhere = async (what) => {
    await page.waitForFunction(() => document.activeElement !== document.body).catch(() => assert.fail(what));
  };
  return { press, choose, isSomewhere };
}

const say = async (page, text, status = 'COMPLETED') => {
  await focusIs(box(page));
  await page.keyboard.type(text);
  await page.keyboard.press('Enter');
  await reply(page, status).waitFor();
};

test('sign-up, a talk, stop, versions, edit, correct, fork, delete, by keys alone', limit, async (t) => {
  const page = await visit(t, browser, { server: parley.url });
  const { press, choose, isSomewhere } = hands(page);
  await press(page.getByRole('link', { name: 'Create an account' }));
  await tabTo(page, page.getByLabel('E-mail address'));
  await page.keyboard.type(`${randomUUID()}@example.org`);
  await tabTo(page, page.getByLabel('Password', { exact: true }));
  await page.keyboard.type('four quiet lanterns');
  await page.keyboard.press('Enter');
  await list(page).waitFor();
  await focusIs(box(page));

  // The button to send turns into the one to stop, and back.
  await page.keyboard.type('/tokens 900 /slow 20');
  await press(button(page, 'Send'));
  await page.waitForURL('**/c/*');
  await reply(page, 'STREAMING').waitFor();
  await focusIs(button(page, 'Stop the reply'));
  await page.keyboard.press('Enter');
  await reply(page, 'STOPPED').waitFor();
  await focusIs(button(page, 'Send'));

  // Once more: the focus waits where the reply was.
  await tabTo(page, button(reply(page, 'STOPPED'), 'Again'), 'Shift+Tab');
  await page.keyboard.press('Enter');
  await reply(page, 'STREAMING').waitFor();
  await isSomewhere('again');
  await page.keyboard.press('Escape');
  await reply(page, 'STOPPED').getByText('2/2').waitFor();
  await tabTo(page, button(page, 'Earlier version'));
  await page.keyboard.press('Enter');
  await page.getByText('1/2').waitFor();
  await focusIs(button(page, 'Later version'));
  await page.keyboard.press('Enter');
  await page.getByText('2/2').waitFor();
  await focusIs(button(page, 'Earlier version'));

  await tabTo(page, button(question(page), 'Edit and ask again'), 'Shift+Tab');
  await page.keyboard.press('Enter');
  await focusIs(box(page));
  await page.keyboard.press('Control+a');
  await say(page, 'Second /slow 0');
  await focusIs(box(page));

  const more = button(reply(page, 'COMPLETED'), 'More');
  await tabTo(page, more, 'Shift+Tab');
  await choose(more, 'Correct');
  await focusIs(page.getByRole('dialog').getByRole('textbox'));
  await page.keyboard.press('Escape');
  await focusIs(more);
  await choose(more, 'With another model');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await focusIs(more);

  const before = page.url();
  await choose(more, 'New conversation from here');
  await page.waitForURL((url) => url.pathname.startsWith('/c/') && url.href !== before);
  await reply(page, 'COMPLETED').waitFor();
  await isSomewhere('a copy');

  const copied = button(reply(page, 'COMPLETED'), 'More');
  await tabTo(page, copied, 'Shift+Tab');
  await choose(copied, 'Delete');
  await press(button(page.getByRole('dialog'), 'Delete'));
  await reply(page, 'COMPLETED').waitFor({ state: 'detached' });
  await focusIs(button(question(page), 'More'));
});

test('the list, the settings, the models, the drawer, by keys alone', limit, async (t) => {
  const person = await newPerson(parley.url);
  for (const name of ['Olives', 'Walnuts', 'Plums', 'Figs']) {
    await person.ask(`mutation { createConversation(input: { name: "${name}" }) { conversation { id } } }`);
  }
  const page = await visit(t, browser, { server: parley.url });
  await signIn(page, person);
  const { press, choose, isSomewhere } = hands(page);
  const link = (name) => list(page).getByRole('link', { name, exact: true });
  const actions = (name) => button(page, `Actions for ${name}`);

  await tabTo(page, link('Figs'));
  await page.keyboard.press('ArrowDown');
  await focusIs(link('Plums'));
  await choose(actions('Plums'), 'Rename');
  await focusIs(page.getByLabel('Name of the conversation'));
  await page.keyboard.press('Escape');
  await focusIs(link('Plums'));
  await choose(actions('Plums'), 'Rename');
  await focusIs(page.getByLabel('Name of the conversation'));
  await page.keyboard.type('Green plums');
  await page.keyboard.press('Enter');
  await focusIs(link('Green plums'));

  await choose(actions('Green plums'), 'Pin');
  await list(page).getByRole('heading', { name: 'Pinned' }).waitFor();
  await focusIs(actions('Green plums'));
  // What is gone leaves the focus to its neighbour.
  await choose(actions('Figs'), 'Archive');
  await link('Figs').waitFor({ state: 'detached' });
  await focusIs(link('Walnuts'));
  await choose(actions('Walnuts'), 'Delete');
  await press(button(page.getByRole('dialog'), 'Cancel'));
  await focusIs(actions('Walnuts'));
  await choose(actions('Walnuts'), 'Delete');
  await press(button(page.getByRole('dialog'), 'Delete'));
  await link('Walnuts').waitFor({ state: 'detached' });
  await focusIs(link('Olives'));
  await press(button(page, 'Archived'));
  await link('Figs').waitFor();
  await isSomewhere('the archive');
  await choose(actions('Figs'), 'Take out of the archive');
  await link('Figs').waitFor({ state: 'detached' });
  await isSomewhere('an empty archive');
  await press(button(page, 'Back to conversations'));
  await press(link('Olives'));
  await page.waitForURL('**/c/*');
  await page.locator('.talk-scroll').waitFor();

  const models = page.getByRole('button', { name: /^Model: / }).last();
  await press(models);
  await focusIs(page.getByRole('listbox', { name: 'Model' }));
  await page.keyboard.press('Escape');
  await focusIs(models);
  await page.keyboard.press('Enter');
  await focusIs(page.getByRole('listbox', { name: 'Model' }));
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await focusIs(models);
  const settings = button(page, 'Settings');
  await press(settings);
  await page.getByLabel('System prompt').waitFor();
  await tabTo(page, page.getByLabel('System prompt'));
  await page.keyboard.type('Be brief.');
  await press(button(page.getByRole('dialog'), 'Save'));
  await focusIs(settings);

  const menu = button(page, 'This conversation');
  await tabTo(page, menu, 'Shift+Tab');
  await choose(menu, 'Rename');
  await focusIs(page.getByRole('dialog').getByRole('textbox'));
  await page.keyboard.type('Black olives');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Black olives' }).waitFor();
  await focusIs(menu);
  await choose(menu, 'Under the hood');
  await focusIs(page.getByRole('complementary', { name: 'Under the hood' }));
  await press(page.locator('.hood-entry summary').first());
  await page.keyboard.press('Escape');
  await focusIs(menu);
  for (const key of ['Control+k', 'Control+/']) {
    await page.keyboard.press(key);
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await focusIs(menu);
  }
  await choose(menu, 'Delete');
  await press(button(page.getByRole('dialog'), 'Delete'));
  await page.waitForURL(`${parley.url}/`);
  await isSomewhere('a talk that is gone');
  await page.keyboard.press('Control+Shift+o');
  await tabTo(page, box(page));
});
