// The goals themselves: what is done on each side, and how much of it is enough. A row is a goal; `of` gives the number
// of a side, `most` is the limit, and where there is none the number is for orientation.
import { setTimeout as pause } from 'node:timers/promises';
import { heapOf, quantile, shownAfterAnswer, streamed } from './measure.mjs';
import { scrolled } from './scroll.mjs';

/** The tokens of four hours at 200 a second, in replies of 64 KiB of 5 characters a token. */
const replies = Number(process.env.GOALS_REPLIES ?? 220);
const size = 65_536;

const kinds = (process.env.GOALS_KINDS ?? 'prose,code,table').split(',');

export const goals = { load, open, stream, type, scroll, hours };

/** eachOf does something on each side, one after the other. */
async function eachOf({ sides }, work) {
  const results = {};
  for (const side of sides) results[side.name] = await work(side);
  return results;
}

async function load(world) {
  const results = await eachOf(world, async (side) => {
    const times = [];
    for (let i = 0; i < 5; i++) {
      const shown = await side.blank();
      await shown.page.waitForFunction(() => globalThis.goals.ready);
      times.push(await shown.page.evaluate(() => globalThis.goals.ready));
      await shown.close();
    }
    return { ready: quantile(times, 0.5) };
  });
  return rowsOf(results, [{ name: 'First load: something to type in, ms', of: ({ ready }) => ready, most: 1000 }]);
}

async function open(world) {
  const count = Number(process.env.GOALS_MESSAGES ?? 10_000);
  const results = await eachOf(world, async (side) => {
    const id = await side.filled(count);
    const shown = await side.start();
    const behind = await shownAfterAnswer(shown, `Number ${count - 1}.`, () => side.open(shown, id));
    // What it puts in above and below the screen comes a little later.
    await pause(1000);
    const messages = await shown.page.locator('article').count();
    const heap = await heapOf(shown);
    await shown.close();
    return { behind, messages, heap };
  });
  return rowsOf(results, [
    { name: `Open ${count} messages: last page behind the answer, ms`, of: ({ behind }) => behind, most: 200 },
    { name: '– messages in the document', of: ({ messages }) => messages, most: 60 },
    { name: '– heap, MiB', of: ({ heap }) => heap, most: 80 },
  ]);
}

async function stream(world) {
  const rows = [];
  for (const kind of kinds) {
    const what = { kind, size, rate: 200, ahead: size - 12_000 };
    const results = await eachOf(world, (side) => streamed(world, side, what));
    rows.push(
      ...rowsOf(results, [
        {
          name: `200 tokens/s at the end of 64 KiB, ${kind}: frames over 33 ms, %`,
          of: ({ over33 }) => over33,
          most: 0,
        },
        { name: '– frames over 16 ms, %', of: ({ over16 }) => over16, most: 5 },
        { name: '– text behind the socket (p95), ms', of: ({ behind }) => behind, most: 50 },
        { name: '– longest frame, ms', of: ({ worst }) => worst },
        { name: '– main thread busy, s', of: ({ work }) => work[0] },
        { name: '– commits of React', of: ({ commits }) => commits },
      ]),
    );
  }
  return rows;
}

async function type(world) {
  const what = { kind: 'prose', size, rate: 200, ahead: size - 16_000 };
  const results = await eachOf(world, (side) => streamed(world, side, what, { typing: true }));
  return rowsOf(results, [
    { name: 'Typing meanwhile: key to paint (p98), ms', of: ({ key98 }) => key98, most: 50 },
    { name: '– p95, ms', of: ({ key95 }) => key95 },
    { name: '– median, ms', of: ({ key50 }) => key50 },
  ]);
}

async function scroll(world) {
  const count = Number(process.env.GOALS_MESSAGES ?? 10_000);
  const results = await eachOf({ sides: world.sides.filter(({ name }) => name !== 'baseline') }, async (side) =>
    scrolled(side, await side.filled(count)),
  );
  return rowsOf(results, [
    { name: `Scroll up ${count} messages: jump of what is read, px`, of: ({ jump }) => jump, most: 2 },
    { name: '– messages in the document at most', of: ({ messages }) => messages, most: 60 },
    { name: '– pages that came in front', of: ({ pages }) => pages },
  ]);
}

async function hours(world) {
  const results = await eachOf(world, async (side) => {
    const id = await side.newTalk();
    const shown = await side.follow(id);
    await shown.cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
    const heaps = [];
    for (let done = 1; done <= replies; done++) {
      await side.send(id, { kind: 'prose', size, rate: 1e6 });
      await side.finished(shown, done);
      if (done % Math.ceil(replies / 10) === 0) heaps.push(await heapOf(shown));
    }
    await shown.close();
    console.error(side.name, heaps.map((heap) => heap.toFixed(1)).join(' '));
    return { first: heaps[0], last: heaps.at(-1) };
  });
  return rowsOf(results, [
    {
      name: `${replies} replies of 64 KiB: heap at the end / after a tenth`,
      of: ({ first, last }) => last / first,
      most: 1.1,
    },
    { name: '– heap at the end, MiB', of: ({ last }) => last },
  ]);
}

function rowsOf(results, rows) {
  return rows.map(({ name, of, most }) => ({
    name,
    most,
    values: Object.fromEntries(Object.entries(results).map(([side, result]) => [side, of(result)])),
  }));
}
