// A conversation: its messages in all their states, and what opens from it.
import { away, box, button, fail, go, hold, leaveDialog, openTalk, press, reply, say, talkHead } from './acts.mjs';

/** What stays as it is, with what is waited for. */
const still = {
  complete: 'Thought for',
  versions: '2/3',
  length: 'as long as it may',
  stopped: 'Stopped.',
  failed: 'The model reported an error.',
  refused: 'The model refuses this content.',
  filter: 'filter ended this reply',
  edited: 'edited',
  goneOn: 'Goes on from an earlier version',
  notes: 'Sources',
  waiting: 'Waiting for the first word',
  thinking: 'Thinking',
  arabic: 'المد',
};

export async function messages({ studio }) {
  for (const [name, text] of Object.entries(still)) {
    await studio.both(async (page) => {
      await openTalk(page, name);
      await page.locator('.talk-sheet').getByText(text).first().waitFor();
    });
    await studio.shoot(`message-${name}`);
  }
  await page({ studio });
  await queue({ studio });
  await thoughts({ studio });
  await gone({ studio });
}

/** Nobody scrolls here: the page keeps the end in sight by itself. */
async function thoughts({ studio }) {
  await studio.both(async (page) => {
    await openTalk(page, 'complete');
    await page.getByText('Thought for').click();
    await page.locator('.talk-thoughts-text').waitFor();
  });
  await studio.shoot('thoughts');
}

/** All that a text can be made of; and the way back to its end. */
async function page({ studio }) {
  await studio.both(async (page) => {
    await openTalk(page, 'page');
    await page.locator('.hljs-keyword').first().waitFor();
    await page.locator('math').nth(1).waitFor();
  });
  await studio.shoot('message-page-end');
  await studio.both(async (page) => {
    await page.locator('.talk-scroll').evaluate((scroller) => scroller.scrollTo(0, 0));
    await button(page, 'Jump to the end').waitFor();
  });
  await studio.shoot('message-page');
}

async function queue({ studio }) {
  await studio.both(async (page) => {
    page.talks.writing = await page.api.writes('How do I sharpen a chisel?');
    await openTalk(page, 'writing');
    await reply(page, 'STREAMING').locator('.talk-prose').waitFor();
  });
  await studio.shoot('message-writing');
  await studio.both(async (page) => {
    const more = { conversationId: page.talks.writing.id, onBusy: 'QUEUE' };
    await page.api.send('And how often?', more);
    await page.api.send('Which stone do I buy first?', more);
    await say(page, 'Waiting, number 2 in line');
    await page.getByText('2 messages wait').click();
    await button(page, 'Cancel this message').waitFor();
  });
  await studio.shoot('message-queued');
  await studio.both(async (page) => {
    await press(page, 'Cancel this message');
    await say(page, 'Cancelled before it was asked.');
    await box(page).fill('Stop, I have found it');
    await press(page, 'What to do while a reply is written');
    await page.getByRole('menuitem', { name: 'Interrupt' }).waitFor();
  });
  await studio.shoot('message-cancelled');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await box(page).fill('');
  });
}

/** What is on its way, is not there yet, or is there no more. */
async function gone({ studio }) {
  let held = await studio.both(async (page) => {
    const release = await hold(page, /sendMessage/);
    await openTalk(page, 'complete');
    await box(page).fill('And without yeast?');
    await page.keyboard.press('Enter');
    await say(page, 'Sending …');
    return release;
  });
  await studio.shoot('message-sending');
  await studio.both(async (page, i) => {
    await held[i]();
    await reply(page, 'COMPLETED').getByText('Yes.').waitFor();
  });
  held = await studio.both(async (page) => {
    const release = await hold(page, /query Talk\(/);
    const { id } = await page.api.talk('Say it shorter');
    await go(page, `/c/${id}`);
    await page.locator('.talk-loading').waitFor();
    return release;
  });
  await studio.shoot('talk-loading');
  held = await studio.both(async (page, i) => {
    await held[i]();
    await page.locator('article[data-message]').first().waitFor();
    const over = await fail(page, /query Talk\(/);
    const { id } = await page.api.talk('Say it shorter');
    await go(page, `/c/${id}`);
    await say(page, 'This could not be loaded.');
    return over;
  });
  await studio.shoot('talk-failed');
  await studio.both(async (page, i) => {
    await held[i]();
    await go(page, `/c/${page.talks.length.id}x`);
    await say(page, 'There is no such conversation');
  });
  await studio.shoot('talk-missing');
  await studio.both(async (page) => {
    await go(page, '/nowhere');
    await say(page, 'There is nothing at this address.');
  });
  await studio.shoot('nowhere');
  await studio.both(async (page) => {
    const { id } = await page.api.talk('Say it shorter');
    await go(page, `/c/${id}`);
    // Once it hears of what others do there.
    await page.api.talk('Say it shorter', { conversationId: id });
    await page.locator('.talk-reply[data-status="COMPLETED"]').nth(1).waitFor();
    await page.api.ask('mutation ($i: DeleteConversationInput!) { deleteConversation(input: $i) { conversationId } }', {
      i: { conversationId: id },
    });
    await say(page, 'This conversation was deleted');
  });
  await studio.shoot('talk-gone');
}

export async function panels({ studio }) {
  await studio.both(async (page) => {
    await openTalk(page, 'versions');
    await press(talkHead(page), 'This conversation');
    await page.getByRole('menuitem', { name: 'Under the hood' }).waitFor();
  });
  await studio.shoot('talk-menu');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await press(reply(page), 'More');
    await page.getByRole('menuitem', { name: 'Correct' }).waitFor();
  });
  await studio.shoot('message-menu');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await reply(page).getByRole('button', { name: 'Details' }).click();
    await page.locator('.talk-details:popover-open').waitFor();
  });
  await studio.shoot('message-details');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Model: ' }).last().click();
    await page.getByRole('option').first().waitFor();
  });
  await studio.shoot('models');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await page.locator('.set-gauge').click();
    await page.locator('.set-bar').waitFor();
  });
  await studio.shoot('gauge');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await page.emulateMedia({ forcedColors: 'active' });
    await press(reply(page), 'More');
    await page.getByRole('menuitem', { name: 'Correct' }).waitFor();
  });
  await studio.shoot('forced-colors');
  await studio.both(async (page) => {
    await page.keyboard.press('Escape');
    await page.emulateMedia({ forcedColors: null });
  });
}

export async function dialogs({ studio }) {
  const fromReply = (name) => async (page) => {
    await press(reply(page), 'More');
    await page.getByRole('menuitem', { name }).click();
    await page.locator('dialog[open]').waitFor();
  };
  const fromHead = (name) => async (page) => {
    await press(talkHead(page), 'This conversation');
    await page.getByRole('menuitem', { name }).click();
    await page.locator('dialog[open]').waitFor();
  };
  const all = {
    correct: fromReply('Correct'),
    'other-model': fromReply('With another model'),
    'delete-message': fromReply('Delete'),
    rename: fromHead('Rename'),
    'delete-talk': fromHead('Delete'),
    settings: async (page) => {
      await fromHead('Settings')(page);
      await page.getByLabel('System prompt').fill('Answer as to a friend who is a baker.');
    },
  };
  for (const [name, show] of Object.entries(all)) {
    await studio.both(show);
    await studio.shoot(name);
    if (name !== 'settings') await studio.both(leaveDialog);
  }
  await studio.both(async (page) => {
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Temperature').fill('7');
    await dialog.getByLabel('Longest reply').fill('many');
    await press(dialog, 'Save');
    await dialog.getByText('is not a number').waitFor();
    await dialog.locator('.ui-dialog-body').evaluate((body) => body.scrollTo(0, body.scrollHeight));
  });
  await studio.shoot('settings-refused');
  await studio.both(async (page) => {
    await leaveDialog(page);
    await away(page, 'dialog[open]');
  });
}
