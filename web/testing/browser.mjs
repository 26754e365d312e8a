// What the tests of all pages of the binary share: a browser, and what must not happen in it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

export const base = process.env.PARLEY_URL;
/** How long one step may take: a busy machine is slow, and what hangs is seen all the same. */
export const timeout = Number(process.env.PARLEY_PATIENCE ?? 120_000);
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
const screenshots = process.env.PARLEY_SCREENSHOT;

/** launch starts the browser by a project's own playwright-core. */
export function launch(chromium) {
  assert.ok(base, 'PARLEY_URL must name a running server, for example http://127.0.0.1:8080');
  assert.ok(existsSync(executablePath), `no Chromium at ${executablePath}: apt-get install chromium, or set CHROMIUM`);
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** watchForFaults collects everything that must not happen on any page of the context. */
export function watchForFaults(context, page, server = base, faults = []) {
  const host = new URL(server).host;
  page.on('console', (message) => {
    // Chromium reports a violation of the content security policy as a console error.
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  page.on('websocket', (socket) => new URL(socket.url()).host === host || faults.push(`socket to ${socket.url()}`));
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.host !== host) faults.push(`request to ${url}`);
  });
  context.on(
    'response',
    (response) => response.status() >= 400 && faults.push(`${response.status()} for ${response.url()}`),
  );
  return faults;
}

export async function picture(page, name) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}
