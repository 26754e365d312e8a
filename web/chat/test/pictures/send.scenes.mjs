// Sends that are not stored: what is known of each, and what can be done. Where two devices are at odds the server
// refuses by itself; what would take a day to bring about is answered for it.
import { away, box, button, openTalk, press, refuse, reply, say } from './acts.mjs';

export async function sends({ studio }) {
  await atOdds({ studio });
  await studio.both(async (page) => {
    await openTalk(page, 'edited');
    await page.route('**/graphql', (route) =>
      /sendMessage/.test(route.request().postData() ?? '') ? route.abort() : route.continue(),
    );
    await write(page, 'Is anybody there?');
    await say(page, 'Nobody knows yet whether it arrived');
  });
  await studio.shoot('send-unknown');
  await studio.both(async (page) => {
    await page.unrouteAll();
    // It is gone where the page has tried again by itself.
    await page.getByRole('button', { name: 'Try now' }).evaluateAll((all) => all.forEach((one) => one.click()));
    await reply(page, 'COMPLETED').getByText('Yes.').waitFor();
    await box(page).fill('word '.repeat(300));
    await page.keyboard.press('Enter');
    await say(page, /This is .* long/);
  });
  await studio.shoot('send-long');
  await studio.both(async (page) => {
    await press(page, 'Take back');
    await page.locator('.comp-size-over').waitFor();
  });
  await studio.shoot('send-size');
  for (const [name, code, extensions] of [
    ['waiting', 'OVERLOADED', { retryAfter: 30 }],
    ['quota', 'QUOTA_EXCEEDED', { quota: 'tokens_per_day', resetsOn: '2030-01-01', retryAfter: 40_000 }],
    ['context', 'CONTEXT_TOO_LONG', { limitTokens: 8192, neededTokens: 12_400 }],
    ['model', 'MODEL_UNAVAILABLE', { model: 'lantern' }],
    ['full', 'QUEUE_FULL', {}],
    ['gone', 'NOT_FOUND', {}],
    ['refused', 'FORBIDDEN', {}],
  ]) {
    await studio.both(async (page) => {
      await refuse(page, code, extensions);
      await write(page, 'How long does it take to get there on foot?');
      await page.locator(`.comp-row-${name}`).waitFor();
    });
    await studio.shoot(`send-${name}`);
    await studio.both(async (page) => {
      await page.unrouteAll();
      await press(page, 'Take back');
      await box(page).fill('');
    });
  }
  await edits({ studio });
  await busy({ studio });
}

/** Another device asks in the same moment: there are three ways, and one is to wait for one's turn. Then it deletes
 * the reply that is being written. */
async function busy({ studio }) {
  await studio.both(async (page) => {
    page.talks.busy = await page.api.writes('How do I sharpen a chisel?');
    await openTalk(page, 'busy');
    await reply(page, 'STREAMING').locator('.talk-prose').waitFor();
    await refuse(page, 'CONVERSATION_BUSY', { messageId: page.talks.busy.reply });
    await write(page, 'And how often?');
    await button(page, 'Wait for it').waitFor();
  });
  await studio.shoot('send-busy');
  await studio.both(async (page) => {
    await page.unrouteAll();
    await press(page, 'Wait for it');
    await say(page, 'It goes out when the reply has ended.');
  });
  await studio.shoot('send-turn');
  await studio.both(async (page) => {
    await press(page, 'Take back');
    await box(page).fill('');
    const remove = 'mutation ($i: DeleteMessageInput!) { deleteMessage(input: $i) { __typename } }';
    await page.api.ask(remove, { i: { messageId: page.talks.busy.reply } });
    await away(page, '.talk-reply');
  });
  await studio.shoot('message-deleted');
}

async function write(page, text) {
  await box(page).fill(text);
  await page.keyboard.press('Enter');
}

/** Another device has asked, and this page has not heard of it: its events are on their way still. */
async function atOdds({ studio }) {
  const heard = await studio.both(async (page) => {
    let waiting = null;
    await page.routeWebSocket('**/graphql', (socket) => {
      const server = socket.connectToServer();
      server.onMessage((message) => (waiting ? waiting.push(() => socket.send(message)) : socket.send(message)));
    });
    await page.reload();
    await openTalk(page, 'failed');
    await reply(page, 'FAILED').waitFor();
    await page.locator('.side-going').first().waitFor({ state: 'attached' });
    waiting = [];
    return () => {
      const all = waiting;
      waiting = null;
      all.forEach((say) => say());
    };
  });
  await studio.both(async (page) => {
    await page.api.talk('Say it shorter', { conversationId: page.talks.failed.id });
    await write(page, 'And in French?');
    await say(page, 'The talk has gone on meanwhile');
  });
  await studio.shoot('send-stale');
  await studio.both(async (page, i) => {
    await press(page, 'Take back');
    await box(page).fill('');
    heard[i]();
    await reply(page, 'COMPLETED').waitFor();
  });
}

async function edits({ studio }) {
  await studio.both(async (page) => {
    await press(page.locator('.talk-question').last(), 'Edit and ask again');
    await say(page, 'The answer is written anew');
  });
  await studio.shoot('edit');
  await studio.both(async (page) => {
    await press(page, 'Only correct it');
    await say(page, 'Nothing is answered again');
  });
  await studio.shoot('edit-correct');
  await studio.both(async (page) => {
    await press(page, 'Leave it as it was');
    await button(page, 'Send').waitFor();
  });
}
