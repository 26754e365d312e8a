// The line: lost, back, to another server; the drawer that shows what goes over it; and other languages.
import { away, box, button, go, hideList, openTalk, press, reply, say, showList, talkHead } from './acts.mjs';
import { newer } from '../page.mjs';

export async function hood({ studio }) {
  await studio.both(async (page) => {
    await go(page, '/');
    await page.reload();
    await say(page, 'What is on your mind?');
    await openTalk(page, 'complete');
    await press(talkHead(page), 'This conversation');
    await page.getByRole('menuitem', { name: 'Under the hood' }).click();
    await button(page, 'Clear').click();
    await say(page, 'Nothing yet.');
  });
  await studio.shoot('hood-empty');
  await studio.both(async (page) => {
    await box(page).fill('Say it shorter');
    await box(page).press('Enter');
    await say(page, 'MessageFinished');
    // Of a query nobody can tell whether it was waited for until its answer came; a mutation is not cancelled.
    await page.getByRole('searchbox').fill('mutation');
    await page.locator('.hood-entry summary').first().click();
    await button(page, 'Copy as curl').waitFor();
  });
  await studio.shoot('hood-open');
  await studio.both(async (page) => {
    await press(page, 'Close');
    await away(page, '.hood');
  });
}

async function speak(page, language) {
  await page.evaluate((one) => {
    const stored = JSON.parse(localStorage.getItem('parley:settings') ?? '{}');
    localStorage.setItem('parley:settings', JSON.stringify({ ...stored, language: one }));
  }, language);
  await page.reload();
  await page.locator('.comp-text').waitFor();
}

export async function languages({ studio }) {
  await studio.both(async (page) => {
    await go(page, '/');
    await speak(page, 'ar');
  });
  await studio.shoot('arabic-start');
  await studio.both(async (page) => {
    await go(page, `/c/${page.talks.versions.id}`);
    await say(page, '2/3');
  });
  await studio.shoot('arabic-talk');
  await studio.both(async (page) => {
    await page.locator('.comp-bar .comp-quiet').first().click();
    await page.locator('.set-form').waitFor();
  });
  await studio.shoot('arabic-settings');
  await studio.both(async (page) => {
    await speak(page, 'de');
    await openTalk(page, 'failed');
  });
  await studio.shoot('german-talk');
  await studio.both(async (page) => {
    await page.locator('.comp-bar .comp-quiet').first().click();
    await page.locator('.set-form').waitFor();
  });
  await studio.shoot('german-settings');
  await studio.both((page) => speak(page, null));
}

export async function line({ studio, parley }) {
  await studio.both(async (page) => {
    await openTalk(page, 'edited');
    await page.context().setOffline(true);
    await say(page, 'You are offline.');
  });
  await studio.shoot('line-offline');
  await studio.both(async (page) => {
    await page.route('**/graphql', newer);
    await page.context().setOffline(false);
    await say(page, 'A newer version of this page is there.');
    await away(page, '.app-banner-warn');
  });
  await studio.shoot('line-newer');
  await studio.both(async (page) => {
    await page.unrouteAll();
    await page.reload();
    await page.locator('.side-link').first().waitFor({ state: 'attached' });
    page.talks.again = await page.api.writes('How do I sharpen a chisel?');
    await openTalk(page, 'again');
    await reply(page, 'STREAMING').locator('.talk-prose').waitFor();
  });
  await restarts({ studio, parley });
  await studio.both(async (page) => {
    await page.route('**/session/refresh', (route) => route.abort('connectionrefused'));
    await page.reload();
    await say(page, 'The server cannot be reached.');
  });
  await studio.shoot('away');
  await studio.both(async (page) => {
    await page.unrouteAll();
    await page.reload();
    await page.locator('.comp-text').waitFor();
  });
  await studio.both((page) =>
    page.api
      .ask(
        `mutation { changePassword(input: { currentPassword: "four quiet lanterns", newPassword: "five loud lanterns" }) { user { id } } }`,
      )
      .then(() => say(page, 'You have been signed out.')),
  );
  await studio.shoot('signed-out');
}

/** The server ends by itself, and comes back: the reply is written again. Then it is killed, and told not to. */
async function restarts({ studio, parley }) {
  const ended = parley.stop();
  await studio.both((page) => say(page, 'The server restarts.'));
  await studio.shoot('line-restarting');
  // The second time it does not wait for the replies that are being written.
  await Promise.all([ended, parley.stop()]);
  await parley.start({ PARLEY_ON_CRASH: 'interrupt' });
  await studio.both(async (page) => {
    await say(page, 'Continued on another server');
    await away(page, '.app-banner');
  });
  await studio.shoot('message-elsewhere');
  await parley.kill();
  await studio.both((page) => say(page, 'Next try in'));
  await studio.shoot('line-lost');
  await parley.start();
  await studio.both(async (page) => {
    await page.goto('/');
    await openTalk(page, 'again');
    await reply(page, 'INTERRUPTED').waitFor();
  });
  await studio.shoot('message-interrupted');
}
