// Markdown without a browser: what grows shows what the whole shows, what it costs, and that nothing hangs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { withSources } from './source.mjs';

let grow, nothing, lex, cite, show, partsOf, isSame;

withSources(async (load) => {
  ({ grow, nothing } = await load('markdown/grow.ts'));
  ({ lex } = await load('markdown/lex.ts'));
  ({ partsOf, isSame } = await load('markdown/lines.ts'));
  cite = await load('markdown/cite.ts');
  const { Markdown } = await load('markdown/Markdown.tsx');
  const { createElement } = await import('react');
  const { renderToStaticMarkup } = await import('react-dom/server');
  show = (props) => renderToStaticMarkup(createElement(Markdown, props));
});

/** random is a small generator with a seed, so that a failure can be seen again. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const words = [
  'word',
  '**bold**',
  '*soft*',
  '`code`',
  '漢字',
  'שלום',
  '[link](https://example.com/a)',
  '$x^2$',
  '\\(y\\)',
  '~~gone~~',
  '$5',
  '<b>',
  '&amp;',
  '![p](http://x.y/z)',
  'a_b_c',
  '[ref]',
  '😀',
];
const kinds = [
  (r, line) => line(),
  (r, line) => `${'#'.repeat(1 + r(6))} ${line()}`,
  (r, line) => Array.from({ length: 1 + r(4) }, () => `- ${line()}`).join('\n'),
  (r, line) => Array.from({ length: 1 + r(4) }, (_, i) => `${i + 1}. ${line()}`).join('\n'),
  (r, line) => `- ${line()}\n  - ${line()}\n\n  ${line()}\n- [x] ${line()}`,
  (r, line) => `> ${line()}\n> ${line()}`,
  (r, line) => `\`\`\`js\n${line()}\n\n- ${line()}\n\`\`\``,
  (r, line) => `| a | b |\n|---|--:|\n| ${line()} | 2 |`,
  () => '---',
  (r, line) => `$$\n\\frac{a}{b}\n= c\n- d\n$$`,
  (r, line) => `${line()}\n\\[ x = 1 \\]`,
  (r, line) => `${line()}\n===`,
  () => '[ref]: https://example.org/ref',
  (r, line) => `<div onclick="x()">\n${line()}\n</div>`,
  (r, line) => `    ${line()}`,
];

function documentOf(next) {
  const r = (n) => Math.floor(next() * n);
  const line = () => Array.from({ length: 1 + r(6) }, () => words[r(words.length)]).join(' ');
  const definitions = r(2) ? ['[ref]: https://example.org/first'] : [];
  return [...definitions, ...Array.from({ length: 2 + r(6) }, () => kinds[r(kinds.length)](r, line))];
}

const tokensOf = (grown) => grown.blocks.map(({ at, token }) => ({ at, token }));

test('a growing prefix shows what the whole shows, at each end of a block', () => {
  for (let seed = 0; seed < 500; seed++) {
    const next = random(seed);
    const parts = documentOf(next);
    // A definition that comes late changes what stands before it; only the end knows it.
    const late = parts.findIndex((part, i) => i > 0 && part.startsWith('[ref]:') && !parts[0].startsWith('[ref]:'));
    const text = parts.slice(0, late < 0 ? undefined : late).join('\n\n') + '\n\n';
    let grown = nothing;
    let at = 0;
    let end = 0;
    const ends = new Set(parts.map((part) => (end += part.length + 2)));
    while (at < text.length) {
      const step = 1 + Math.floor(next() * 14);
      const stop = [...ends].find((end) => end > at && end <= at + step) ?? at + step;
      at = Math.min(stop, text.length);
      grown = grow(grown, text.slice(0, at), true);
      if (!ends.has(at)) continue;
      const whole = grow(nothing, text.slice(0, at), false);
      assert.deepEqual(tokensOf(grown), tokensOf(whole), `seed ${seed} at ${at}:\n${text.slice(0, at)}`);
    }
    const last = grow(grown, text, false);
    assert.deepEqual(tokensOf(last), tokensOf(grow(nothing, text, false)));
  }
});

test('a long reply is read in what it is long, also when it is one block', () => {
  const texts = {
    prose: 'Some words that make a paragraph of a usual length, with **bold** ones.\n\n'.repeat(300),
    list: '- an item of a list with `code`\n'.repeat(700),
    code: '```js\n' + 'const a = 1;\n'.repeat(1700) + '```\n',
    line: 'word '.repeat(4400),
    quote: '> a line of a quote\n'.repeat(1100),
    table: '| a | b |\n|---|---|\n' + '| 1 | 2 |\n'.repeat(2200),
  };
  for (const [name, text] of Object.entries(texts)) {
    let grown = nothing;
    for (let at = 14; at < text.length + 14; at += 14) grown = grow(grown, text.slice(0, at), true);
    grown = grow(grown, text, false);
    const updates = text.length / 14;
    assert.ok(grown.cost / updates < 6000, `${name}: ${Math.round(grown.cost / updates)} characters read an update`);
  }
});

test('a long table that grows shows what the whole shows, and draws its last rows alone', () => {
  const row = (n) => `| ${n} **b** | \`c\` | x${n % 7 ? '' : ' | more'} |\n`;
  const rows = Array.from({ length: 400 }, (_, n) => row(n)).join('');
  for (const before of ['', 'A paragraph.\n\nAnother.\n\n']) {
    for (const behind of ['', '\nThen words.\n\nAnd more.\n']) {
      const text = `${before}| a | b | c |\n|---|:-:|--:|\n${rows}${behind}`;
      let grown = nothing;
      let kept = 0;
      for (let at = 0; at < text.length; at += 11) {
        const was = grown.blocks.at(-1)?.token.rows?.[100];
        grown = grow(grown, text.slice(0, at), true);
        if (was && was === grown.blocks.at(-1)?.token.rows?.[100]) kept++;
        if (at % 1331 !== 0) continue;
        const whole = new Map(grow(nothing, text.slice(0, at), false).blocks.map((block) => [block.at, block.token]));
        for (const { at, token, open } of grown.blocks) if (!open) assert.deepEqual(token, whole.get(at));
        const rows = grown.blocks.find(({ token }) => token.type === 'table')?.token.rows.slice(0, -1);
        const wholeRows = [...whole.values()].find(({ type }) => type === 'table')?.rows;
        if (rows) assert.deepEqual(rows, wholeRows.slice(0, rows.length));
      }
      assert.ok(kept > 100, `${kept} times the hundredth row was the same object`);
      const last = grow(grow(grown, text, true), text, false);
      assert.deepEqual(tokensOf(last), tokensOf(grow(nothing, text, false)));
    }
  }
});

test('code is shown in parts, and no character of it is lost', () => {
  const html = (text) =>
    /<code>(.*)<\/code>/s
      .exec(show({ text: `\`\`\`\n${text}\n\`\`\`` }))[1]
      .replaceAll('</span><span class="md-lines">', '\n')
      .replace(/<[^>]*>/g, '');
  for (const line of ['a line\n', 'a\n\n', '\n', 'a\n\n\nb\n', 'x '.repeat(300) + '\n']) {
    for (const count of [1, 49, 50, 51, 99, 500]) {
      const text = `first\n${line.repeat(count)}last`;
      assert.equal(html(text), text, `${count} of ${JSON.stringify(line.slice(0, 20))}`);
    }
  }
});

test('the colours of code are cut at lines, and what shows the same is the same', () => {
  const text = (pieces) => pieces.map((one) => (typeof one === 'string' ? one : text(one[1]))).join('');
  const next = random(7);
  const make = (depth) =>
    Array.from({ length: 40 }, () =>
      depth > 0 && next() < 0.3
        ? [`c${Math.floor(next() * 3)}`, make(depth - 1)]
        : next() < 0.5
          ? 'word'
          : ' \n\n'.slice(0, 1 + Math.floor(next() * 3)),
    );
  const pieces = make(2);
  const parts = partsOf(pieces);
  assert.ok(parts.length > 2, `${parts.length} parts`);
  assert.equal(parts.map(text).join('\n'), text(pieces));
  assert.ok(
    parts.every((part) => !text(part).endsWith('\n') || part === parts.at(-1)),
    'no empty line is lost',
  );
  const more = partsOf([...pieces, ['c1', ['more']]]);
  assert.ok(parts.slice(0, -1).every((part, i) => isSame(part, more[i])));
  assert.ok(!isSame(parts.at(-1), more[parts.length - 1]));
});

test('blocks that are done stay the same objects', () => {
  const text = 'First *one*.\n\n- second\n\nThird.\n\nFourth.\n\nFif';
  const before = grow(nothing, text, true);
  const after = grow(before, `${text}th one.\n\nSixth`, true);
  assert.equal(after.blocks[0], before.blocks[0]);
  const done = grow(after, after.text, false);
  assert.equal(done.blocks[1], before.blocks[1]);
});

test('half a pair is shown as what it will be', () => {
  const typeOf = (text) =>
    grow(nothing, text, true)
      .blocks.at(-1)
      .token.tokens.map(({ type }) => type);
  assert.deepEqual(typeOf('a **bo'), ['text', 'strong']);
  assert.deepEqual(typeOf('a `co'), ['text', 'codespan']);
  assert.deepEqual(typeOf('see [the li'), ['text']);
});

test('prices are no formulas', () => {
  const types = (text) => lex(text).tokens[0].tokens.map(({ type }) => type);
  assert.ok(!types('It is $5 and $6, or $7.50.').includes('formula'));
  assert.ok(!types('From $5-$10, US$3.').includes('formula'));
  for (const text of ['so $x^2$ is', 'so \\(x\\) is', 'so $$x$$ is', 'so \\[x\\] is', '$a$, $b$']) {
    assert.ok(types(text).includes('formula'), text);
  }
});

test('what is made to hang does not', { timeout: 60_000 }, () => {
  const deep = {
    quotes: '> '.repeat(10_000) + 'x',
    quoteLines: Array.from({ length: 500 }, (_, i) => '> '.repeat(i) + 'x').join('\n'),
    lists: '- '.repeat(10_000) + 'x',
    indents: Array.from({ length: 300 }, (_, i) => `${'  '.repeat(i)}- x`).join('\n'),
    brackets: '['.repeat(10_000),
    links: '[a]('.repeat(10_000),
    pictures: '![a]('.repeat(10_000),
    stars: '*a '.repeat(50_000),
    unders: 'a_'.repeat(50_000),
    tildes: '~~a '.repeat(30_000),
    ticks: Array.from({ length: 400 }, (_, i) => '`'.repeat(i + 1) + ' ').join(''),
    dollars: '$a '.repeat(20_000),
    formulas: '\\[\n'.repeat(7_000),
    displays: '$$\n- x\n'.repeat(10_000),
    lazy: '> a\nb\n'.repeat(5_000),
    line: 'x'.repeat(1_000_000),
    spaced: 'ab '.repeat(333_333),
    blocks: '```js\na\n```\n\n'.repeat(5_000),
    refs: '[a]: b\n'.repeat(5_000) + '[a] '.repeat(5_000),
    comments: '<!-- '.repeat(20_000),
    tags: '<a href="'.repeat(10_000),
    mails: 'a@'.repeat(20_000),
    webs: 'www.'.repeat(20_000),
  };
  for (const [name, text] of Object.entries(deep)) {
    const { tokens } = lex(text);
    assert.equal(tokens.map(({ raw }) => raw).join('').length > 0, true, name);
    const depth = depthOf(tokens);
    assert.ok(depth < 700, `${name} is ${depth} deep`);
    if (text.length < 200_000) show({ text });
    show({ text: text.slice(0, 20_000), growing: true });
  }
});

/** What opens something, or looks so, each of it many times; and lines of which each makes the one before it longer. */
const openers = [
  ...['*a ', '**a ', '***a_', '_a ', '__a*', '~~a ', '`a ', '``a` ', '*_`[![](<\\[$$|> - 1. #~~'],
  ...[
    '[',
    '![',
    '[a](',
    '[a](<',
    '[a](b "',
    '[a](b (',
    '[a][',
    '[a] ',
    '](',
    '[\\',
    '[a\\]',
    '[`a',
    '[<a ',
    '[![a](b)](c)',
  ],
  ...['<', '<a ', '<a b="', '<a b=c ', '<!-- ', '<![CDATA[', '<?', '<!A ', '</a ', '<http://a', '<a@b.', '<div>\n'],
  ...[
    '\\[ a ',
    '\\(a ',
    '$a ',
    '$$a ',
    '$a\\$',
    '$$\n',
    '\\[\n',
    'a\n$$\n',
    '$$\na\n\n',
    '&#',
    '&amp;',
    '\ufdd01\ufdd1',
  ],
  ...['|', '|a', '|a|\n|-|\n', '-|\n', 'a|b\n-|-\n', 'a|b|c\n-|-\n', 'a\n-\n', '|a|\n|-|\n# b\n', '|a|\n|-|\n- b\n'],
  ...['> ', '> a\nb\n', '> - a\nb\n', '> - a\nb\n> - c\n', '> # a\nb\n', '> ---\nb\n', '> ```\nb\n', '>     a\nb\n'],
  ...[
    '> |a|\n> |-|\nb\n',
    '>> a\n> b\nc\n',
    '> > # a\n> b\n',
    '> [a]: b\n',
    '> 1. a\n> 2. b\nc\n',
    '> $$\nb\n',
    '> a\n> =\n',
  ],
  ...[
    '- ',
    '- a\n',
    '- a\nb\n',
    '- a\n\n\n',
    '-\n',
    '- a\n* b\n+ c\n',
    '- a\n  - b\n',
    '- > a\n  b\n',
    '- ```\n',
    '- [ ] a\n',
  ],
  ...[
    '1. ',
    '1. a\n',
    '1) a\n2. b\n',
    'a\n2. b\n',
    '- a\n***\n',
    '- - ',
    '* * a\n',
    '#',
    '# a #\n',
    'a\n===b\n',
    '=\n',
  ],
  ...['[a]: b\n', '[a]: ', '[a]:\n', '[a]: <b\n', '[a]: b "\n', '[a]: b (\n', '[a\n', '[^1] ', '[^1]: a\n', '[a]\n'],
  ...[
    '```\n',
    '```a`\n',
    '~~~\n',
    ' ```x\n',
    '    a\n\n',
    'http://a.b(',
    'http://a&a;',
    'www.a_',
    'a@b.',
    'a@b-',
    'mailto:a@',
  ],
];
const repeated = Object.fromEntries(openers.map((one) => [one, (n) => one.repeat(n / one.length)]));
const families = {
  ...repeated,
  'a row that is wider than others': (n) => `${'|a'.repeat(n / 8)}|\n${'|-'.repeat(n / 8)}|\n${'b\n'.repeat(n / 4)}`,
  'wide rows': (n) => '|a'.repeat(n / 6) + '|\n' + '|-'.repeat(n / 6) + '|\n' + '|b'.repeat(n / 6) + '|\n',
  'quotes that end step by step': (n) =>
    Array.from({ length: n / 24 }, (_, i) => `${'> '.repeat(23 - (i % 23))}a`).join('\n'),
  'quotes that begin step by step': (n) =>
    Array.from({ length: n / 24 }, (_, i) => `${'> '.repeat(i % 23)}a`).join('\n'),
  'lines behind a deep list': (n) => '- '.repeat(23) + 'a\n' + 'b\n'.repeat(n / 2),
  'lines behind a deep quote': (n) => '> '.repeat(23) + 'a\n' + 'b\n'.repeat(n / 2),
  'definitions and their uses': (n) =>
    Array.from({ length: n / 24 }, (_, i) => `[r${i}]: x\n`).join('') +
    Array.from({ length: n / 24 }, (_, i) => `[r${i}]`).join(' '),
  'longer and longer code': (n) => Array.from({ length: Math.sqrt(n) }, (_, i) => '`'.repeat(i % 120)).join(' '),
};

// The steps of a regular expression cannot be counted from outside, and it is they that grow. So it is the time of the
// processor, which others on the machine do not add to: the least of some runs, and where that is linear, four times
// the text is four times the time. Sixteen times would be quadratic.
test('four times the text is no more than four times the work, whatever it opens', { timeout: 120_000 }, () => {
  const time = (text) => {
    const before = process.cpuUsage();
    lex(text);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  const least = (text, runs) => Math.min(...Array.from({ length: runs }, () => time(text)));
  const slow = [];
  for (const [name, family] of Object.entries(families)) {
    const [small, large] = [family(10_000), family(40_000)];
    const once = time(large);
    // What is read so quickly is not quadratic, and most is.
    if (once < 60) continue;
    const isSlow = () => least(large, 2) > 8 * least(small, 3);
    if (once > 8 * time(small) && isSlow() && isSlow()) slow.push(`${JSON.stringify(name)}: ${once} ms`);
    else if (once > 5000) slow.push(`${JSON.stringify(name)}: ${once} ms`);
  }
  assert.deepEqual(slow, []);
});

test('a table makes no more than what is written, and a quote is read as it was', () => {
  const cellsOf = (text) => lex(text).tokens.flatMap(({ header = [], rows = [] }) => [header, ...rows].flat()).length;
  const text = `${'|a'.repeat(3000)}|\n${'|-'.repeat(3000)}|\n${'b\n'.repeat(6000)}`;
  assert.ok(cellsOf(text) < 2 * text.length + 4096, `${cellsOf(text)} cells of ${text.length} characters`);
  const ragged = '| a | b | c | d | e |\n|---|---|---|---|---|\n' + '| 1 |\n'.repeat(50);
  assert.equal(cellsOf(ragged), 51 * 5);
  // What stands behind a quote does not change it, however far the look ahead goes.
  const quotes = [
    '> a\n> b\n',
    '> a\nb\n',
    '> - a\nb\n',
    '> # a\n',
    '> > a\n> b\n',
    '> ```\n> a\n> ```\n',
    '> |a|\n> |-|\n',
  ];
  for (const quote of quotes) {
    const [alone] = lex(quote).tokens;
    const [first] = lex(`${quote}\n${'Words.\n\n'.repeat(600)}`).tokens;
    assert.deepEqual(first.tokens, alone.tokens, quote);
  }
  const long = lex('> words of a quote\n'.repeat(400)).tokens;
  assert.deepEqual([long.length, long[0].type], [1, 'blockquote'], 'a quote of 7 KB is one');
});

function depthOf(tokens) {
  let depth = 0;
  let level = tokens ?? [];
  while (level.length > 0) {
    depth++;
    level = level.flatMap((token) => [...(token.tokens ?? []), ...(token.items ?? [])]);
  }
  return depth;
}

test('only http, https and mailto are links', () => {
  for (const href of [
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\tscript:alert(1)',
    'javascript&colon;alert(1)',
    '&#106;avascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    '//evil.example',
    '/relative',
    'blob:https://a/b',
    'file:///etc/passwd',
  ]) {
    const html = show({ text: `[a](<${href}>) <${href}> ![b](<${href}>)` });
    assert.ok(!html.includes('<a '), html);
  }
  const html = show({ text: '[a](https://user@evil.example/x?a=1&amp;b=2 "t")' });
  assert.match(html, /href="https:\/\/user@evil\.example\/x\?a=1&amp;b=2"/);
  assert.match(html, /title="evil\.example"/);
  assert.match(html, /rel="noopener noreferrer nofollow" target="_blank"/);
});

test('HTML is text, images are not fetched, headings are demoted', () => {
  assert.match(
    show({ text: '<img src=x onerror=alert(1)> **b**' }),
    /&lt;img src=x onerror=alert\(1\)&gt; <strong>b<\/strong>/,
  );
  assert.doesNotMatch(show({ text: '![a](https://evil.example/x.png)' }), /<img|src=/);
  assert.match(show({ text: '# a\n\n###### b' }), /<h3 .*<h6 /);
});

test('citations stand where they belong', () => {
  const citations = [
    { title: 'One', url: 'https://one.example/', place: 3 },
    { title: 'Two', url: 'javascript:x', place: 999 },
  ];
  const html = show({ text: 'A b. `c`', citations });
  assert.match(
    html,
    /A b<sup class="md-cite"><a href="https:\/\/one\.example\/" title="One · one\.example"[^>]*>1<\/a><\/sup>\. /,
  );
  assert.match(html, /<sup class="md-cite"><span title="Two">2<\/span><\/sup>/);
  const linked = show({
    text: '[word](https://a.example/)',
    citations: [{ title: 'One', url: 'https://one.example/', place: 3 }],
  });
  assert.match(linked, />word<\/a><sup/);
  assert.equal(cite.withPlaces('\ufdd0' + '0\ufdd1', []), '\ufffd0\ufffd');
});

test('lines that begin as formulas and are none are each searched a short way', async () => {
  const { Tokenizer } = await import('marked');
  const { lheading } = Tokenizer.prototype;
  let searched = 0;
  Tokenizer.prototype.lheading = function (src) {
    searched += src.length;
    return lheading.call(this, src);
  };
  try {
    for (const line of ['\\[ a\n', '$$ a\n']) {
      const text = line.repeat(2000);
      searched = 0;
      const { tokens } = lex(text);
      assert.equal(tokens.map((token) => token.raw).join(''), text);
      assert.ok(searched > 0 && searched < 4 * text.length, `${searched} of ${text.length} characters`);
    }
  } finally {
    Tokenizer.prototype.lheading = lheading;
  }
  const [heading] = lex('A heading\n===\n').tokens;
  assert.deepEqual([heading.type, heading.depth], ['heading', 1]);
  // One that is as long as a paragraph is none, and so is one whose line goes on.
  assert.notEqual(lex(`${'a'.repeat(2042)}\n===> more\n`).tokens[0].type, 'heading');
});
