// What the binary serves is what the sources give, to the byte, and small. It is of the committed build: when it fails,
// run `npm run build`.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, posix, relative } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = fileURLToPath(new URL('../../dist/chat', import.meta.url));
const made = [];
after(() => made.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

/** filesIn returns what a build consists of: bytes by name, without the ".gz". */
function filesIn(dir) {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return new Map(paths.map((path) => [relative(dir, path).replace(/\.gz$/, ''), readFileSync(path)]));
}

async function buildAnew() {
  const outDir = mkdtempSync(join(tmpdir(), 'parley-chat-'));
  made.push(outDir);
  await build({ root, logLevel: 'error', build: { outDir, emptyOutDir: true } });
  return filesIn(outDir);
}

function assertSame(one, other, what) {
  assert.deepEqual([...one.keys()], [...other.keys()], what);
  const unlike = [...one.keys()].filter((name) => !one.get(name).equals(other.get(name)));
  assert.deepEqual(unlike, [], what);
}

test('two builds give the same bytes, which are those that are committed', { timeout: 120_000 }, async () => {
  const first = await buildAnew();
  assertSame(first, await buildAnew(), 'two builds of the same sources differ');
  assertSame(filesIn(dist), first, 'web/dist/chat is not what the sources give: run "npm run build", and commit it');
});

const files = filesIn(dist);
const text = (name) => gunzipSync(files.get(name)).toString();
const kib = (names) => names.reduce((sum, name) => sum + files.get(name).length, 0) / 1024;

/** imports lists what a part cannot do without: its static imports. */
function imports(name) {
  const found = text(name).matchAll(
    /(?:^|[;}\n])\s*(?:import|export)\s*(?:[\w$*{][^'"`;()]*?from\s*)?["']([^"']+)["']/g,
  );
  return [...found].map(([, path]) => posix.join(dirname(name), path));
}

function closure(names) {
  const all = new Set(names);
  // A set that grows while it is gone through is gone through to its end.
  for (const name of all) if (name.endsWith('.js')) imports(name).forEach((one) => all.add(one));
  return [...all];
}

/** What the first view needs: the page, what it names, and what comes with those. */
function firstLoad() {
  const named = [...text('index.html').matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, name]) => name);
  return closure(['index.html', ...named]);
}

/** The files of each language but English, which comes with the page. */
const languages = readdirSync(join(root, 'src/texts'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'en')
  .map(({ name }) => [...files.keys()].filter((file) => basename(file).startsWith(`${name}-`)));

test('the page stays within what it may weigh', () => {
  const first = firstLoad();
  for (const name of first) assert.ok(files.has(name), `${name} is needed and not there`);
  assert.ok(first.length > 3, `the page needs ${first}: the test does not see its parts`);
  assert.ok(languages.length >= 6 && languages.every((names) => names.length === 1), `languages: ${languages}`);
  const byNeed = [...files.keys()].filter((name) => name.startsWith('assets/') && !first.includes(name));
  // The most that one person can ever load besides: everything, and one language, the largest.
  const [largest] = languages.flat().sort((one, other) => files.get(other).length - files.get(one).length);
  const late = byNeed.filter((name) => name === largest || !languages.flat().includes(name));
  const all = [...files.keys()];
  const sizes = `first ${kib(first).toFixed(1)}, by need ${kib(late).toFixed(1)} with one language, all ${kib(all).toFixed(1)}`;
  assert.ok(kib(first) <= 145, `${sizes} KiB: the first load may have 145`);
  assert.ok(kib(late) <= 130, `${sizes} KiB: what one person can load by need may have 130`);
  assert.ok(kib(all) <= 320, `${sizes} KiB: all of it may have 320`);
  for (const part of ['Markdown', 'Hood', 'Account', 'ConversationSettings', 'Find', 'Keys', 'temml', 'mhchem']) {
    assert.ok(
      byNeed.some((name) => basename(name).startsWith(`${part}-`)),
      `${part} does not come by need`,
    );
  }
  console.log(`# ${sizes} KiB`);
});
