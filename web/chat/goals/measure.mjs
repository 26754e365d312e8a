// How one thing is measured in a page.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** quantile of numbers in any order. */
export function quantile(numbers, q) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN;
}

export const MiB = 1024 * 1024;

/** heapOf is what is reachable, in MiB. */
export async function heapOf({ cdp }) {
  for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage');
  return (await cdp.send('Runtime.getHeapUsage')).usedSize / MiB;
}

/** busyOf is how long the main thread has worked, in seconds: less noise than any time that passes. */
async function busyOf({ cdp }) {
  const { metrics } = await cdp.send('Performance.getMetrics');
  const of = (name) => metrics.find((metric) => metric.name === name).value;
  return ['Task', 'Script', 'Layout', 'RecalcStyle'].map((name) => of(`${name}Duration`));
}

/** shownAfterAnswer runs open, and returns how long behind the last answer over HTTP a text was painted. */
export async function shownAfterAnswer({ page }, text, open) {
  await page.evaluate((text) => {
    performance.clearResourceTimings();
    globalThis.goals.found = new Promise((resolve) => {
      globalThis.goals.waits.push(() => {
        const isThere = [...document.querySelectorAll('article')].at(-1)?.textContent.includes(text) ?? false;
        if (isThere) requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
        return isThere;
      });
    });
  }, text);
  await open();
  return page.evaluate(async () => {
    const found = await globalThis.goals.found;
    const answers = performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/graphql'));
    // What brought it is the largest.
    const bringers = answers.filter(({ responseEnd }) => responseEnd <= found);
    return found - bringers.toSorted((a, b) => a.decodedBodySize - b.decodedBodySize).at(-1).responseEnd;
  });
}

/** streamed shows a reply of a kind in a page: most of it at once, and the end of it measured. */
export async function streamed(world, side, what, { typing = false } = {}) {
  const id = await side.newTalk();
  const shown = await side.follow(id);
  const { page } = shown;
  await side.send(id, what);
  await page.waitForFunction((ahead) => globalThis.goals.length() > ahead / 2, what.ahead);
  // What came at once is shown whole and coloured.
  await pause(2500);
  const trace = await tracing(shown);
  await page.evaluate(() => globalThis.goals.watch());
  const before = await busyOf(shown);
  let isOver = false;
  const typed = typing ? type(page, () => isOver) : undefined;
  world.goOn();
  await page.waitForFunction(() => globalThis.goals.finished > 0);
  isOver = true;
  const count = await typed;
  const after = await busyOf(shown);
  await trace(`${side.name}-${what.kind}${typing ? '-typing' : ''}`);
  const seen = await page.evaluate(() => {
    const { arrivals, shown, frames, keys, commits } = globalThis.goals;
    globalThis.goals.isOn = false;
    return { frames, keys, commits, behind: [...shown].map(([mark, now]) => now - arrivals.get(mark)) };
  });
  await shown.close();
  return numbersOf(seen, { work: after.map((one, i) => one - before[i]), count });
}

function numbersOf({ frames, keys, commits, behind }, { work, count }) {
  const share = (ms) => (100 * frames.filter((frame) => frame > ms).length) / frames.length;
  // What takes less than 16 ms is not reported at all.
  const all = count === undefined ? [] : [...Array(Math.max(0, count - keys.length)).fill(16), ...keys];
  return {
    frames: frames.length,
    // One frame is 16.7 ms; clocks are not finer than this.
    over16: share(17.7),
    over33: share(34.4),
    worst: Math.max(...frames),
    behind: quantile(behind, 0.95),
    found: behind.length,
    commits,
    key50: quantile(all, 0.5),
    key95: quantile(all, 0.95),
    key98: quantile(all, 0.98),
    work,
  };
}

/** type types until it is over, and returns how many keys that were. */
async function type(page, isOver) {
  let count = 0;
  await page.getByRole('textbox', { name: 'Message' }).last().focus();
  for (; !isOver(); count++) {
    await page.keyboard.press('abcdefgh '[count % 9]);
    await pause(70);
  }
  return count;
}

/** tracing writes a trace, for Chromium's own tools, into the folder GOALS_TRACES, where that is set. */
async function tracing({ cdp }) {
  const folder = process.env.GOALS_TRACES;
  if (!folder) return () => {};
  const events = [];
  cdp.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await cdp.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['devtools.timeline', 'disabled-by-default-v8.cpu_profiler'] },
  });
  return async (name) => {
    const done = new Promise((resolve) => cdp.once('Tracing.tracingComplete', resolve));
    await cdp.send('Tracing.end');
    await done;
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(events));
  };
}
