// The composer in Chromium before the binary: keys, drafts, a page that dies with a send, a reply that runs, other
// devices, limits, settings on two devices, and what everybody can see and reach.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import test, { after, afterEach, before } from 'node:test';
import { data, Parley, send, until } from '../../../compat/lib/parley.mjs';
import {
  assertNoFaults,
  box,
  button,
  enter,
  hold,
  launch,
  make,
  newPerson,
  questions,
  replies,
  say,
  serve,
  talkOf,
} from './composer/set-up.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = process.env.PARLEY_PICTURES;
let browser, free, tight, files, freeSite, tightSite;

before(async () => {
  [files, browser, free, tight] = await Promise.all([
    make(),
    launch(),
    Parley.start({
      PARLEY_SCRIPT: 'on',
      PARLEY_MODEL: 'script',
      PARLEY_SENDS_PER_MINUTE: '0',
      PARLEY_MAX_RUNNING: '100',
    }),
    Parley.start({
      PARLEY_SCRIPT: 'on',
      PARLEY_MODEL: 'script',
      PARLEY_MAX_RUNNING: '1',
      PARLEY_MAX_MESSAGE_BYTES: '1024',
      PARLEY_TOKENS_PER_DAY: '4000',
    }),
  ]);
  [freeSite, tightSite] = await Promise.all([serve(files, free.url), serve(files, tight.url)]);
});
after(() => Promise.all([browser, free, tight, files, freeSite, tightSite].map((one) => one?.close())));
afterEach(assertNoFaults);

const shot = (page, name) => pictures && page.screenshot({ path: join(pictures, `${name}.png`) });

/** The questions of a conversation as the server has them. */
async function stored(parley, { token }, id) {
  const query =
    'query ($id: ID!) { conversation(id: $id) { messages(last: 50) { nodes { id role content status } } } }';
  const { conversation } = await data(parley.url, query, { id }, token);
  return conversation.messages.nodes.filter(({ role }) => role === 'USER');
}

test('keys: Enter sends, Shift+Enter breaks, an input method keeps its Enter, Esc stops, ↑ asks again', async () => {
  const person = await newPerson(free);
  const page = await enter(browser, freeSite.url, { person });
  await box(page).focus();
  await page.keyboard.type('first line /slow 2s');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second');
  assert.equal(await box(page).inputValue(), 'first line /slow 2s\nsecond');
  // As a browser tells the Enter that takes a word: in a composition, and, in Safari, behind it as 229.
  for (const how of [
    { isComposing: true, keyCode: 13 },
    { isComposing: false, keyCode: 229 },
  ]) {
    await box(page).evaluate((area, how) => {
      area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...how }));
    }, how);
  }
  assert.equal(await questions(page).count(), 0, 'sent in the middle of a word');
  await page.keyboard.press('Enter');
  await questions(page).first().waitFor();
  assert.equal(await box(page).inputValue(), '');
  await button(page, 'Stop the reply').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('li.ASSISTANT[data-status=STOPPED]').waitFor();

  await button(page, 'Send').waitFor();
  await page.keyboard.press('ArrowUp');
  await page.getByText('The answer is written anew').waitFor();
  assert.equal(await box(page).inputValue(), 'first line /slow 2s\nsecond');
  await page.keyboard.press('Escape');
  assert.equal(await box(page).inputValue(), '', 'Esc leaves the edit');
  await page.keyboard.press('ArrowUp');
  await page.getByText('The answer is written anew').waitFor();
  await box(page).fill('asked anew /slow 0');
  await page.keyboard.press('Enter');
  await questions(page).getByText('asked anew').waitFor();
  await page.locator('li.ASSISTANT[data-status=COMPLETED]').waitFor();

  await page.keyboard.press('ArrowUp');
  await page.getByText('The answer is written anew').waitFor();
  await shot(page, 'edit');
  await button(page, 'Only correct it').click();
  await box(page).fill('corrected /slow 0');
  await box(page).press('Enter');
  await page.getByText('Nothing is answered again').waitFor({ state: 'detached' });
  const [{ content }] = (await stored(free, person, await talkOf(page))).slice(-1);
  assert.equal(content, 'corrected /slow 0');
  await page.context().close();
});

test('a draft outlives its page, and is gone when it is sent; nothing jumps', async () => {
  const person = await newPerson(free);
  let page = await enter(browser, freeSite.url, { person });
  const { context } = { context: page.context() };
  // Typed before the page knows whose it is.
  await box(page).fill('half a thought');
  await page.locator('.comp-send[aria-disabled=false]').waitFor();
  assert.equal(await box(page).inputValue(), 'half a thought');
  await page.reload();
  await page.waitForFunction(() => document.querySelector('.comp-text')?.value === 'half a thought');
  const place = () => page.locator('.comp-send').boundingBox();
  const [sheet, at] = [await page.locator('.comp-sheet').boundingBox(), await place()];
  await say(page, 'hello /slow 400 /tokens 6');
  await button(page, 'Stop the reply').waitFor();
  assert.deepEqual(await place(), at, 'the button to stop is where the one to send was');
  assert.deepEqual(await page.locator('.comp-sheet').boundingBox(), sheet);
  await button(page, 'Send').waitFor();
  assert.deepEqual(await place(), at);
  await page.close();
  page = await enter(browser, freeSite.url, { person, context });
  assert.equal(await box(page).inputValue(), '');
  assert.equal(
    await page.evaluate(() =>
      Object.keys(localStorage)
        .filter((name) => name.startsWith('parley:'))
        .join(),
    ),
    '',
  );
  await context.close();
});

test('a send whose page dies before the answer is sent again, and is one message', async () => {
  for (const arrives of [true, false]) {
    const person = await newPerson(free);
    const page = await enter(browser, freeSite.url, { person });
    await say(page, 'begin /slow 0');
    const id = await talkOf(page);
    await page.locator('li.ASSISTANT[data-status=COMPLETED]').waitFor();
    const count = await hold(page, { arrives });
    await box(page).fill('only once /slow 0');
    await box(page).press('Enter');
    await until('the send goes out', 0, count);
    if (arrives) await until('the server has it', 0, async () => (await stored(free, person, id)).length === 2);
    const state = await page.context().storageState();
    await page.context().close();
    const again = await enter(browser, freeSite.url, { person, id, storageState: state });
    await questions(again).getByText('only once').waitFor();
    await again.waitForFunction(() => !Object.keys(localStorage).some((name) => name.startsWith('parley:out:')));
    const contents = (await stored(free, person, id)).map(({ content }) => content);
    assert.deepEqual(contents, ['begin /slow 0', 'only once /slow 0'], `arrives: ${arrives}`);
    await again.context().close();
  }
});

test('two tabs: the second waits while the first has a send, and sends it when that one is gone', async () => {
  const person = await newPerson(free);
  const page = await enter(browser, freeSite.url, { person });
  await say(page, 'begin /slow 0');
  const id = await talkOf(page);
  await page.locator('li.ASSISTANT[data-status=COMPLETED]').waitFor();
  const [context, heard] = [page.context(), await hold(page)];
  await box(page).fill('in two tabs /slow 0');
  await box(page).press('Enter');
  await until('the send goes out', 0, heard);
  const other = await enter(browser, freeSite.url, { person, id, context });
  const count = await hold(other);
  await other.waitForFunction(async () => {
    const { pending } = await navigator.locks.query();
    return pending.some(({ name }) => name.startsWith('parley:out:'));
  });
  assert.equal(count(), 0, 'both tabs send');
  await other.unroute('**/graphql');
  await page.close();
  await other.waitForFunction(() => !Object.keys(localStorage).some((name) => name.startsWith('parley:out:')));
  assert.equal((await stored(free, person, id)).length, 2);
  await context.close();
});

test('no answer: the page says that nobody knows, tries again by itself, and there is one message', async () => {
  const person = await newPerson(free);
  const page = await enter(browser, freeSite.url, { person });
  await say(page, 'begin /slow 0');
  await hold(page, { arrives: false });
  await box(page).fill('through the dark /slow 0');
  await box(page).press('Enter');
  await page.getByText('Nobody knows yet whether it arrived').waitFor();
  await shot(page, 'unknown');
  await page.unroute('**/graphql');
  await questions(page).getByText('through the dark').waitFor();
  await page.locator('.comp-row').waitFor({ state: 'detached' });
  assert.equal((await stored(free, person, await talkOf(page))).length, 2);
  await page.context().close();
});

test('while a reply is written: queue by default, interrupt by the menu, cancel what waits', async () => {
  const person = await newPerson(free);
  const page = await enter(browser, freeSite.url, { person });
  await say(page, 'long /slow 2s /tokens 500');
  await button(page, 'Stop the reply').waitFor();
  await say(page, 'next /slow 0');
  await say(page, 'after that /slow 0');
  await page.getByText('2 messages wait').click();
  await shot(page, 'queue');
  await button(page, 'Cancel this message').first().click();
  await page.getByText('One message waits').waitFor();
  await box(page).fill('now /slow 0');
  await shot(page, 'running');
  await button(page, 'What to do while a reply is written').press('Enter');
  await page.getByRole('menuitem', { name: /^Queue it/ }).waitFor();
  await page.keyboard.press('ArrowDown');
  await shot(page, 'ways');
  await page.keyboard.press('Enter');
  await replies(page).getByText('now', { exact: true }).waitFor();
  const states = (await stored(free, person, await talkOf(page))).map(
    ({ content, status }) => `${content.split(' ')[0]} ${status}`,
  );
  assert.deepEqual(states, ['long COMPLETED', 'next STOPPED', 'after STOPPED', 'now COMPLETED']);
  await page.context().close();
});

test('another device: a head that is old, and a reply that is being written', async () => {
  const person = await newPerson(free);
  const page = await enter(browser, freeSite.url, { person });
  await say(page, 'begin /slow 0');
  const conversationId = await talkOf(page);
  await page.locator('li.ASSISTANT[data-status=COMPLETED]').waitFor();
  await page.getByText('Freeze').click();
  await send(free.url, person.token, { conversationId, content: 'elsewhere /slow 0' });
  await box(page).fill('behind /slow 0');
  await box(page).press('Enter');
  await page.getByText('The talk has gone on meanwhile').waitFor();
  await shot(page, 'stale');
  await button(page, 'Show what is new').click();
  await questions(page).getByText('elsewhere').waitFor();
  await button(page, 'Send anyway').click();
  await questions(page).getByText('behind').waitFor();
  await page.locator('.comp-row').waitFor({ state: 'detached' });
  await page.locator('li.ASSISTANT[data-status=COMPLETED]').nth(2).waitFor();

  await page.getByText('Blind').click();
  const { reply } = await send(free.url, person.token, { conversationId, content: 'long /slow 2s /tokens 500' });
  await questions(page).getByText('long').waitFor();
  await box(page).fill('mine /slow 0');
  await box(page).press('Enter');
  await page.getByText('A reply was being written here').waitFor();
  await page.getByText('See').click();
  await button(page, 'Wait for it').waitFor();
  await shot(page, 'busy');
  await button(page, 'Wait for it').click();
  await page.getByText('It goes out when the reply has ended').waitFor();
  // What was decided stands, although a page that begins does not know of the reply at first.
  await page.reload();
  await questions(page).getByText('long').waitFor();
  await data(
    free.url,
    'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }',
    { id: reply.id },
    person.token,
  );
  await replies(page).getByText('mine', { exact: true }).waitFor();
  const contents = (await stored(free, person, conversationId)).map(({ content }) => content.split(' ')[0]);
  assert.deepEqual(contents, ['begin', 'elsewhere', 'behind', 'long', 'mine']);
  await page.context().close();
});

test('limits: too long, too much at once, the tokens of a day; what was typed comes back', async () => {
  const person = await newPerson(tight);
  const page = await enter(browser, tightSite.url, { person });
  await say(page, 'begin /slow 0');
  await page.locator('li.ASSISTANT[data-status=COMPLETED]').waitFor();
  await box(page).fill('x'.repeat(2048));
  await box(page).press('Enter');
  await page.getByText('This is 2 kB long, and the server takes 1 kB.').waitFor();
  await shot(page, 'long');
  await button(page, 'Take back').click();
  assert.equal((await box(page).inputValue()).length, 2048);
  assert.equal(await button(page, 'Send').getAttribute('aria-disabled'), 'true', 'the limit is known now');

  const other = await send(tight.url, person.token, { content: 'elsewhere /slow 500 /tokens 1000' });
  await box(page).fill('later /slow 0');
  await box(page).press('Enter');
  await page.getByText(/It goes out again/).waitFor();
  await shot(page, 'waiting');
  await data(
    tight.url,
    'mutation ($id: ID!) { stopReply(input: { messageId: $id }) { message { id } } }',
    { id: other.reply.id },
    person.token,
  );
  await questions(page).getByText('later').waitFor();

  await page.locator('li.ASSISTANT[data-status=COMPLETED]').nth(1).waitFor();
  await say(page, 'spend /slow 0 /tokens 5000');
  await page.locator('li.ASSISTANT[data-status=COMPLETED]').nth(2).waitFor();
  await box(page).fill('no more');
  await box(page).press('Enter');
  await page.getByText('The tokens of this day are used up.').waitFor();
  await shot(page, 'quota');
  await button(page, 'Take back').click();
  assert.equal(await box(page).inputValue(), 'no more');
  await page.context().close();
});

test('settings: kept for a new talk, told field by field, the same on two devices', async () => {
  const person = await newPerson(free);
  const page = await enter(browser, freeSite.url, { person });
  await button(page, 'Settings').click();
  const dialog = page.getByRole('dialog', { name: 'Settings of the new talk' });
  await dialog.getByLabel('System prompt').fill('Speak like a pirate.');
  await dialog.getByLabel('Temperature').fill('7');
  await dialog.getByLabel('Longest reply').fill('many');
  await button(dialog, 'Save').click();
  await dialog.getByText('must be between 0 and 2').waitFor();
  await dialog.getByText('is not a number').waitFor();
  await shot(page, 'settings-errors');
  await dialog.getByLabel('Temperature').fill('0.5');
  await dialog.getByLabel('Longest reply').fill('');
  await button(dialog, 'Save').click();
  await dialog.waitFor({ state: 'detached' });
  await say(page, 'ahoy /slow 0');
  const id = await talkOf(page);
  const query = `query ($id: ID!) { conversation(id: $id) { name model systemPrompt parameters { temperature maxTokens stop }
    contextSettings { policy turns } } }`;
  const read = async () => (await data(free.url, query, { id }, person.token)).conversation;
  const first = await read();
  assert.deepEqual([first.systemPrompt, first.parameters.temperature], ['Speak like a pirate.', 0.5]);

  const other = await enter(browser, freeSite.url, { person, id });
  await button(other, 'Settings').click();
  const second = other.getByRole('dialog', { name: 'Settings of this talk' });
  assert.equal(await second.getByLabel('System prompt').inputValue(), 'Speak like a pirate.');
  assert.equal(await second.getByLabel('Temperature').inputValue(), '0.5');
  await second.getByLabel('Name').fill('Pirates');
  await second.getByLabel('The newest turns').check();
  await second.getByLabel('Turns', { exact: true }).fill('3');
  await button(second, 'Save').click();
  await second.waitFor({ state: 'detached' });

  await button(page, 'Settings').click();
  const third = page.getByRole('dialog', { name: 'Settings of this talk' });
  assert.equal(await third.getByLabel('Name').inputValue(), 'Pirates');
  assert.ok(await third.getByLabel('The newest turns').isChecked());
  await third.getByText('More parameters').click();
  await third.getByLabel('Stop texts').fill('END');
  await button(third, 'Save').click();
  await third.waitFor({ state: 'detached' });
  assert.deepEqual(await read(), {
    name: 'Pirates',
    model: null,
    systemPrompt: 'Speak like a pirate.',
    parameters: { temperature: 0.5, maxTokens: null, stop: ['END'] },
    contextSettings: { policy: 'LAST_N', turns: 3 },
  });
  await button(page, 'Model: script').press('Enter');
  await page.getByRole('option', { name: /eliza/ }).waitFor();
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  await button(page, 'Model: eliza').waitFor();
  assert.equal((await read()).model, 'eliza');
  await Promise.all([page.context().close(), other.context().close()]);
});

test('everybody: axe in both themes, 390 px without a way aside, files are told of', async () => {
  const person = await newPerson(free);
  for (const colorScheme of ['light', 'dark']) {
    const page = await enter(browser, freeSite.url, { person, colorScheme, viewport: { width: 390, height: 844 } });
    const check = async (where) => {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() =>
        window.axe.run({ include: [['.comp']] }, { resultTypes: ['violations'] }),
      );
      assert.deepEqual(
        violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`),
        [],
        `${where}, ${colorScheme}`,
      );
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${where}: ${wide} px too wide`);
      await shot(page, `phone-${where}-${colorScheme}`);
    };
    await box(page).evaluate((area) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(['x'], 'x.png'));
      area.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));
    });
    await page.getByText('Files cannot be sent yet').waitFor();
    await check('start');
    assert.ok(
      (await box(page).evaluate((area) => parseFloat(getComputedStyle(area).fontSize))) >= 16,
      'a phone zooms in',
    );
    await say(page, 'long /slow 2s /tokens 500');
    await say(page, 'waits');
    await box(page).fill('and this\n\nis\n\nlong '.repeat(20));
    await page.getByText('One message waits').click();
    await check('running');
    await page.locator('.set-gauge').click();
    await check('gauge');
    await page.keyboard.press('Escape');
    await button(page, 'Model: script').click();
    await check('models');
    await page.keyboard.press('Escape');
    await button(page, 'Settings').click();
    await page.getByRole('dialog', { name: 'Settings of this talk' }).getByLabel('Name').waitFor();
    await check('settings');
    await page.context().close();
  }
});
