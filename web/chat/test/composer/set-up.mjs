// What the tests of the composer share: the page that mounts it, served before a binary, and what a person does.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { build, preview } from 'vite';
import { libraries } from '../../libraries.plugin.mjs';
import { freePort, password, patience, signUp } from '../../../../compat/lib/parley.mjs';

const root = join(import.meta.dirname, '../..');

/** make builds the page once. It is a build for development, in which React says what is wrong. */
export async function make(page = 'composer') {
  const outDir = mkdtempSync(join(tmpdir(), 'parley-composer-'));
  const define = { 'process.env.NODE_ENV': '"development"' };
  const input = join(root, 'test', page, 'index.html');
  await build({
    root,
    configFile: false,
    mode: 'development',
    logLevel: 'error',
    define,
    plugins: [libraries],
    resolve: { conditions: ['source', 'module', 'browser', 'development'] },
    build: { target: 'es2023', outDir, minify: false, rollupOptions: { input } },
  });
  return { outDir, close: () => rmSync(outDir, { recursive: true, force: true }) };
}

/** serve serves the page before a server; everything that is asked for goes there. */
export async function serve({ outDir }, target) {
  const proxy = { '/graphql': { target, ws: true }, '/session': { target } };
  const site = await preview({
    root,
    configFile: false,
    logLevel: 'silent',
    build: { outDir },
    preview: { host: '127.0.0.1', port: await freePort(), strictPort: true, proxy },
  });
  return { url: site.resolvedUrls.local[0] + 'test/composer/index.html', close: () => site.close() };
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
}

/** Everything that must not happen on a page; a refusal of the server is no fault. */
export const faults = [];

/** enter opens the page for a person, in a context of their own unless one is given. */
export async function enter(browser, url, { person, id = '', context, ...options } = {}) {
  context ??= await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.PARLEY_PATIENCE ?? patience));
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    // Chromium says a failed request itself; React and urql say what is wrong with this code.
    if (['error', 'warning'].includes(message.type()) && !/Failed to load resource|WebSocket/.test(message.text()))
      faults.push(message.text());
  });
  await page.goto(`${url}?${new URLSearchParams({ email: person.email, password })}${id && `#${id}`}`);
  await box(page).waitFor();
  return page;
}

export const box = (page) => page.getByRole('textbox', { name: 'Message' });
export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const questions = (page) => page.locator('li.USER');
export const replies = (page) => page.locator('li.ASSISTANT');
export const talkOf = (page) => page.evaluate(() => location.hash.slice(1));

/** say sends by the keyboard, and waits until it is shown. */
export async function say(page, text) {
  const before = await questions(page).count();
  await box(page).fill(text);
  await box(page).press('Enter');
  await questions(page).nth(before).waitFor();
}

/** newPerson signs somebody up. */
export const newPerson = (parley) => signUp(parley.url);

/** hold keeps the answers to sends back; the sends arrive at the server, unless they are cut. */
export async function hold(page, { arrives = true } = {}) {
  let count = 0;
  await page.route('**/graphql', async (route) => {
    if (!/sendMessage|editMessage/.test(route.request().postData() ?? '')) return route.continue();
    count++;
    if (!arrives) return route.abort();
    await route.fetch().catch(() => {});
  });
  return () => count;
}

export function assertNoFaults() {
  assert.deepEqual(faults.splice(0), []);
}
