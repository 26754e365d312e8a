// What is compared: the chat page and the baseline, with the same handles to both.
import { desk, signIn } from '../test/page.mjs';
import { probe } from './probe.mjs';
import { documentNamed } from './set-up.mjs';

const patience = 300_000;

/** chatSide is the chat page of one binary. */
export function chatSide(world, name, server) {
  const { parley, person } = server;
  const start = async () => {
    const shown = await blank(world, parley.url);
    await signIn(shown.page, person);
    return shown;
  };
  return {
    ...server,
    name,
    /** A page as nobody has opened it before. */
    blank: () => blank(world, parley.url),
    start,
    open: openTalk,
    /** A page with an empty talk, which it follows. */
    async follow(id) {
      const shown = await start();
      await shown.page.locator(`a[href="/c/${id}"]`).first().click();
      await shown.page.locator('.talk-scroll').waitFor();
      await shown.page.waitForFunction(() => globalThis.goals.snapshots > 0);
      return shown;
    },
    finished: ({ page }, count) => page.waitForFunction((count) => globalThis.goals.finished >= count, count),
    scroller: '.talk-scroll',
  };
}

/** openTalk opens a talk of the list. */
const openTalk = ({ page }, id) => page.locator(`a[href="/c/${id}"]`).first().click();

/** baselineSide is the trivial page, which asks the same of the same server. */
export function baselineSide(world, url, server) {
  const { parley, person } = server;
  const call = ({ page }, name, document, variables) =>
    page.evaluate(
      ([name, ...args]) => globalThis.baseline[name](...args),
      [name, parley.url, person.token, documentNamed(document), variables],
    );
  const start = async () => {
    const shown = await blank(world, url);
    await shown.page.waitForFunction(() => globalThis.baseline);
    return shown;
  };
  return {
    ...server,
    name: 'baseline',
    blank: () => blank(world, url),
    start,
    open: (shown, id) => call(shown, 'open', 'Talk', { id, last: 50 }),
    async follow(id) {
      const shown = await start();
      await call(shown, 'follow', 'TalkEvents', { id });
      return shown;
    },
    finished: ({ page }, count) => page.waitForFunction((count) => globalThis.goals.finished >= count, count),
    scroller: 'main',
  };
}

/** blank opens a page in a context of its own, watched and slowed down. */
async function blank({ browser, throttle }, url) {
  const context = await browser.newContext({ viewport: desk });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  await page.addInitScript(probe);
  const cdp = await context.newCDPSession(page);
  await cdp.send('Performance.enable');
  await cdp.send('HeapProfiler.enable');
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: throttle });
  page.on('pageerror', (error) => console.error(`fault in the page: ${error.message}`));
  await page.goto(url);
  await unlog(page);
  return { page, cdp, close: () => context.close() };
}

/** unlog ends Playwright's log of the network, which costs the page more for a frame of a socket than showing it. */
async function unlog(page) {
  const session = page._connection?.toImpl?.(page)?.delegate?._mainFrameSession?._client;
  await session?.send('Network.disable');
  if (!session) console.error("Playwright's log of the network is on: it slows all pages down");
}
