// The frame of the page: signing in, the empty start, the account, the list of conversations.
import { away, box, button, fail, go, hideList, hold, leaveDialog, press, say, showList, signIn } from './acts.mjs';
import { makeTalks, Person } from './talks.mjs';

export async function signedOut({ studio, parley }) {
  await studio.both(async (page) => {
    page.api = await Person.signUp(parley.url, page.person);
    await page.goto('/');
    await page.getByRole('heading', { name: 'Welcome to Parley' }).waitFor();
  });
  await studio.shoot('sign-in');
  await studio.both(async (page) => {
    await signIn(Object.assign(Object.create(page), { person: { ...page.person, password: 'not the password' } }));
    await page.getByRole('alert').waitFor();
  });
  await studio.shoot('sign-in-refused');
  await studio.both(async (page) => {
    await page.getByRole('link', { name: 'Create an account' }).click();
    await page.getByLabel('Name').waitFor();
  });
  await studio.shoot('sign-up');
  await studio.both(async (page) => {
    await page.getByLabel('E-mail address').fill('ada@example.org');
    await page.getByLabel('Password', { exact: true }).fill('password');
    await press(page, 'Create an account');
    await page.getByRole('alert').or(page.locator('.ui-error')).first().waitFor();
  });
  await studio.shoot('sign-up-refused');
  await studio.both((page) => page.getByRole('link', { name: 'Sign in' }).click());
}

export async function start({ studio }) {
  const held = await studio.both(async (page) => {
    const release = await hold(page, /query Conversations/);
    await signIn(page);
    await say(page, 'What is on your mind?');
    await showList(page);
    await say(page, 'Loading …');
    return release;
  });
  await studio.shoot('list-loading');
  await studio.both(async (page, i) => {
    await held[i]();
    await say(page, 'Your conversations will be listed here.');
  });
  await studio.shoot('list-empty');
  await listFails({ studio });
  await studio.both(async (page) => {
    await press(page, 'Archived');
    await say(page, 'Nothing is archived.');
  });
  await studio.shoot('archive-empty');
  await studio.both(async (page) => {
    await press(page, 'Back to conversations');
    await hideList(page);
  });
  await studio.shoot('start');
  await studio.both((page) => press(page, 'Help me to plan the week ahead of me'));
  await studio.shoot('start-suggested');
  await studio.both((page) => box(page).fill(''));
}

async function listFails({ studio }) {
  const over = await studio.both(async (page) => {
    const over = await fail(page, /query Conversations/);
    await page.reload();
    await say(page, 'What is on your mind?');
    await showList(page);
    await say(page, 'The list could not be loaded.');
    return over;
  });
  await studio.shoot('list-failed');
  await studio.both(async (page, i) => {
    await over[i]();
    await press(page, 'Try again');
    await say(page, 'Your conversations will be listed here.');
  });
}

export async function account({ studio }) {
  await studio.both(async (page) => {
    await showList(page);
    await press(page, 'Settings and account');
    await say(page, page.person.email);
  });
  await studio.shoot('account');
  await studio.both(async (page) => {
    await page.getByRole('button', { name: 'Language' }).click();
    await page.getByRole('option', { name: 'Deutsch' }).waitFor();
  });
  await studio.shoot('account-language');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await press(page, 'Change password');
    await page.getByLabel('New password', { exact: true }).waitFor();
  });
  await studio.shoot('account-password');
  await studio.both(async (page) => {
    await leaveDialog(page);
    await hideList(page);
    await page.keyboard.press('Control+/');
    await page.locator('dialog[open] kbd').first().waitFor();
  });
  await studio.shoot('keys');
  await studio.both(leaveDialog);
}

const names = [
  'A letter to the landlord',
  'Names for a small boat',
  'Reading list for the winter',
  'What to plant in the shade',
  'The grammar of Old Norse, and where to begin with it',
  'Soup for twelve',
];

export async function lists({ studio }) {
  await studio.both(async (page) => {
    const rounds = Array.from({ length: 4 }, (_, i) => (i < 3 ? names.map((name) => `${name} ${3 - i}`) : names));
    for (const name of rounds.flat()) await page.api.named(name);
    page.talks = await makeTalks(page.api);
    const pin = 'mutation ($i: UpdateConversationInput!) { updateConversation(input: $i) { conversation { id } } }';
    await page.api.ask(pin, { i: { conversationId: page.talks.page.id, pinned: true } });
    await showList(page);
    await say(page, 'Why does bread rise?');
    await say(page, 'Pinned');
  });
  await studio.shoot('list');
  await studio.both(async (page) => {
    const row = page.locator('.side-row', { hasText: 'Where the tides come from' });
    await row.hover();
    await row.getByRole('button').click();
    await page.getByRole('menuitem').first().waitFor();
  });
  await studio.shoot('list-menu');
  await studio.both(async (page) => {
    await page.getByRole('menuitem', { name: 'Rename' }).click();
    await page.getByLabel('Name of the conversation').waitFor();
  });
  await studio.shoot('list-rename');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await page.locator('.side-list').evaluate(async (list) => {
      const frame = () => new Promise(requestAnimationFrame);
      while (!document.querySelector('.side-end')?.textContent) {
        list.scrollTop = list.scrollHeight;
        await frame();
      }
      list.scrollTop = list.scrollHeight;
    });
    await say(page, 'That is all.');
  });
  await studio.shoot('list-end');
  await studio.both(async (page) => {
    const row = page.locator('.side-row').last();
    await row.hover();
    await row.getByRole('button').click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await button(page.getByRole('dialog'), 'Delete').waitFor();
  });
  await studio.shoot('list-delete');
  await find({ studio });
  await studio.both(async (page) => {
    await hideList(page);
    const name = 'A letter to the landlord 3';
    await showList(page);
    const row = page.locator('.side-row', { hasText: name });
    await row.hover();
    await row.getByRole('button').click();
    await page.getByRole('menuitem', { name: 'Archive' }).click();
    await button(page, 'Undo').waitFor();
    await hideList(page);
  });
  await studio.shoot('toast');
  await studio.both(async (page) => {
    await button(page, 'Undo').click();
    await away(page, '.ui-toast');
  });
}

async function find({ studio }) {
  await studio.both(async (page) => {
    await leaveDialog(page);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('the');
    await page.locator('.side-find-end').waitFor();
  });
  await studio.shoot('find');
  await studio.both(async (page) => {
    await page.getByRole('combobox').fill('submarine');
    await say(page, 'No name has');
  });
  await studio.shoot('find-nothing');
  await studio.both(async (page) => {
    // A browser empties what is searched for first.
    await page.getByRole('combobox').fill('');
    await leaveDialog(page);
  });
}

export { go };
