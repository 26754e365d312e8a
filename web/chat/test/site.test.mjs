// What an operator sets: the name of the site, whatever it says, and that only known documents run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Parley } from '../../../compat/lib/parley.mjs';
import { launch, send, signUp, timeout, visit } from './page.mjs';

const limit = { timeout: 2 * timeout };
// An end of the title, a script, half a quote, an override of the direction that is never closed, Arabic, an emoji.
const name = `</title><script>alert(1)</script>"'&amp; \u202eشات 🦜`;
let browser, parley;

before(async () => {
  [browser, parley] = await Promise.all([
    launch(),
    Parley.start({
      PARLEY_DOCUMENTS_ONLY: 'on',
      PARLEY_SCRIPT: 'on',
      PARLEY_MODEL: 'script',
      PARLEY_SITE_NAME: name,
    }),
  ]);
});

after(async () => {
  await browser?.close();
  await parley?.close();
});

test('the page works where only known documents run', limit, async (t) => {
  const page = await visit(t, browser, { server: parley.url });
  await signUp(page);
  await send(page, '/tokens 20');
  await page.waitForURL('**/c/*');
  await page.locator('.talk-reply[data-status="COMPLETED"]').waitFor();
  await page.reload();
  await page.locator('.talk-reply[data-status="COMPLETED"]').waitFor();
});

test('the name of the site is a text wherever it stands', limit, async (t) => {
  const page = await visit(t, browser, { server: parley.url });
  page.on('dialog', (dialog) => assert.fail(dialog.message()));
  const scripts = () => page.locator('script').evaluateAll((all) => all.map(({ src, text }) => src + text));
  await page.getByRole('heading', { level: 1 }).waitFor();
  const before = await scripts();
  assert.ok(
    before.every((script) => script.startsWith(`${parley.url}/assets/`)),
    before.join(),
  );

  // The server writes it into the page: it is there although nothing is answered.
  await page.route('**/graphql', (route) => (/query Site/.test(route.request().postData()) ? null : route.continue()));
  await page.reload();
  const greeting = page.getByRole('heading', { level: 1 });
  await greeting.waitFor();
  assert.equal(await greeting.textContent(), `Welcome to ${name}`);
  // Its direction is its own, and does not turn the words around it.
  assert.equal(await greeting.locator('bdi').textContent(), name);
  assert.equal(await greeting.locator('*').count(), 1, 'the name is elements');
  assert.equal(await page.title(), name);
  assert.deepEqual(await scripts(), before);
  await page.unrouteAll({ behavior: 'ignoreErrors' });

  const manifest = await page.evaluate(async () => (await fetch(document.querySelector('[rel=manifest]').href)).json());
  assert.deepEqual([manifest.name, manifest.short_name], [name, name]);
  // As the browser reads it, when it is asked to install the page.
  const { data, errors } = await (await page.context().newCDPSession(page)).send('Page.getAppManifest');
  assert.deepEqual([JSON.parse(data).name, errors], [name, []]);

  await signUp(page);
  await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
  assert.equal(await page.locator('.app-name bdi').first().textContent(), name);
  await send(page, '/tokens 3 /slow 0');
  await page.locator('.talk-reply[data-status="COMPLETED"]').waitFor();
  await page.waitForFunction((name) => document.title.endsWith(` – ${name}`), name);
  assert.deepEqual(await scripts(), before);
});
