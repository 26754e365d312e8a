// npm run goals [NAME…]: measures the goals of the chat page beside a baseline, in one run, and prints a table. It
// needs GOALS_BINARY; GOALS_BEFORE may name an older one, for a column of its own.
import { cpus } from 'node:os';
import { goals } from './goals.mjs';
import { setUp } from './set-up.mjs';

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(goals);
const unknown = names.filter((name) => !(name in goals));
if (unknown.length > 0) {
  console.error(`no such goal: ${unknown.join(', ')}; there are ${Object.keys(goals).join(', ')}`);
  process.exit(2);
}

const throttle = Number(process.env.GOALS_THROTTLE ?? 4);
const world = await setUp({ throttle });
const rows = [];
try {
  for (const name of names) {
    console.error(`${name} …`);
    rows.push(...(await goals[name](world)));
  }
} finally {
  await world.close();
}

const day = new Date().toISOString().slice(0, 10);
console.log(`${day}, Chromium ${world.browser}, ${cpus().length} processors, the page ${throttle} times slower\n`);
print(rows, process.env.GOALS_BEFORE ? ['page', 'before', 'baseline'] : ['page', 'baseline']);

function print(rows, sides) {
  const other = sides[1];
  console.log(`| goal | ${sides.join(' | ')} | page / ${other} | at most | |`);
  console.log(`|---|${'--:|'.repeat(sides.length + 2)}---|`);
  for (const { name, values, most } of rows) {
    const isReached = most === undefined ? '' : values.page <= most ? 'reached' : '**missed**';
    const cells = sides.map((side) => text(values[side]));
    const ratio = text(values[other] ? values.page / values[other] : undefined);
    console.log(`| ${[name, ...cells, ratio, text(most), isReached].join(' | ')} |`);
  }
}

function text(number) {
  if (number === undefined || Number.isNaN(number)) return '–';
  return number >= 100 || Number.isInteger(number) ? String(Math.round(number)) : number.toFixed(number < 10 ? 2 : 1);
}
