// The texts of the page, as data: every language says everything, in its own words.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withSources } from './source.mjs';

// What is the same in English: names, signs, and words that both languages write alike.
const alike = {
  any: /^(Alt|Shift|Ctrl|Top P|[\d/]+)$/,
  de: /^(Code, \d+|Name|Parameter|Standard|System|Text|Version|Details|Filter)$/,
  fr: /^(Suggestions|Sources|Message|Conversations|Versions|Format|Code, \d+|Image|Long|Table|Variables|\d+ tokens)$/,
  es: /^(No|Error|Variables|\d+ tokens)$/,
};

const numbers = [0, 1, 2, 3, 5, 11, 100];

let all;

withSources(async (load) => {
  const { languages } = await load('texts/index.ts');
  const { textsIn } = await load('texts/load.ts');
  all = new Map();
  for (const language of languages) all.set(language, flat(await textsIn(language)));
});

/** flat returns every text by its path. */
function flat(texts, path = '') {
  return Object.entries(texts).flatMap(([key, value]) =>
    value !== null && typeof value === 'object' ? flat(value, `${path}${key}.`) : [[`${path}${key}`, value]],
  );
}

/** said returns what a text says: of a function, all that it says for the numbers. */
function said(value) {
  if (typeof value !== 'function') return [value];
  return numbers.map((n) => value(...Array(value.length).fill(n)));
}

test('all languages have the same texts, which take the same', () => {
  const shape = (texts) =>
    texts.map(([path, value]) => `${path} ${typeof value} ${value.length * (typeof value === 'function')}`);
  for (const [language, texts] of all) assert.deepEqual(shape(texts).sort(), shape(all.get('en')).sort(), language);
});

test('no text is empty, or has a hole', () => {
  for (const [language, texts] of all)
    for (const [path, value] of texts)
      for (const text of said(value)) {
        assert.equal(typeof text, 'string', `${language} ${path}`);
        assert.ok(text.trim() !== '', `${language} ${path} is empty`);
        assert.doesNotMatch(text, /undefined|null|NaN|\[object|#|\$\{/, `${language} ${path}`);
      }
});

test('no English is left over', () => {
  const english = new Map(all.get('en'));
  for (const [language, texts] of all) {
    if (language === 'en') continue;
    const left = texts.filter(([path, value]) => {
      const same = said(value).filter((text, i) => text === said(english.get(path))[i]);
      return same.some((text) => !alike.any.test(text) && !alike[language]?.test(text));
    });
    assert.deepEqual(
      left.map(([path, value]) => `${path}: ${said(value)[1] ?? value}`),
      [],
      language,
    );
  }
});

test('counted things follow the rules of their language', () => {
  const count = (language, path) =>
    new Set(said(new Map(all.get(language)).get(path)).map((text) => text.replace(/[\d٠-٩]+/g, '#')));
  for (const path of ['talk.toEndNew', 'talk.complete', 'talk.unseen', 'composer.queued', 'sidebar.waiting'])
    assert.ok(count('ar', path).size >= 5, `ar ${path}: ${[...count('ar', path)].join(' | ')}`);
  const french = new Map(all.get('fr')).get('talk.toEndNew');
  assert.equal(french(0), '0 nouveau message');
});

test('the suggestions of the server are said in every language', () => {
  const server = readFileSync(new URL('../../../cmd/parley/site.go', import.meta.url), 'utf8');
  const builtIn = /builtInSuggestions = \[\]string\{([^}]*)\}/.exec(server)[1];
  const ours = all.get('en').filter(([path]) => path.startsWith('talk.suggested.'));
  assert.deepEqual(
    ours.map(([, text]) => text),
    [...builtIn.matchAll(/"(.*)"/g)].map(([, text]) => text),
  );
});
