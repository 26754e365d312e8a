// Hostile Markdown in Chromium under the policy of the page: no element outside the list, no request, no style, no
// violation.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { build } from 'vite';
import { libraries } from '../libraries.plugin.mjs';

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
  "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const allowed =
  'div p h3 h4 h5 h6 strong em del br code pre figure figcaption button span a bdi sup ul ol li blockquote hr table thead tbody tr th td';

const addresses = [
  'javascript:alert(1)',
  'JAVASCRIPT:alert(1)',
  ' javascript:alert(1)',
  'java\tscript:alert(1)',
  'javascript&colon;alert(1)',
  '&#x6A;avascript:alert(1)',
  '&#0000106avascript:alert(1)',
  'data:text/html;base64,PHNjcmlwdD4=',
  'vbscript:msgbox(1)',
  'file:///etc/passwd',
  'blob:https://a/b',
  '//evil.example/x',
  'https://evil.example/?q=secret',
  'https://bank.example@evil.example/',
  '\u202ehttps://evil.example',
  'http://[::1]:x/',
  'ftp://evil.example',
  'x:"onmouseover=alert(1)',
];
const frames = [
  (a) => `[a](${a})`,
  (a) => `[a](<${a}>)`,
  (a) => `![a](${a})`,
  (a) => `<${a}>`,
  (a) => `[a][r]\n\n[r]: ${a}`,
  (a) => `![a][r]\n\n[r]: <${a}> "t"`,
  (a) => `[![a](${a})](${a})`,
  (a) => `| [a](${a}) |\n|---|\n| ![x](${a}) |`,
  (a) => `> - [a](${a} "onload=x")`,
  (a) => `\`\`\`html\n<a href="${a}">\n\`\`\``,
  (a) => `<a href="${a}">x</a>`,
  (a) => `<img src="${a}" onerror="alert(1)">`,
];
const tags = [
  '<script>alert(1)</script>',
  '<style>*{display:none}</style>',
  '<iframe srcdoc="<script>1</script>"></iframe>',
  '<svg onload=alert(1)><use href="data:x"/></svg>',
  '<math><mi xlink:href="javascript:x">a</mi></math>',
  '<object data=x></object>',
  '<embed src=x>',
  '<link rel=stylesheet href=//evil.example>',
  '<meta http-equiv=refresh content="0;url=//evil.example">',
  '<base href=//evil.example>',
  '<form action=//evil.example><input name=a></form>',
  '<video src=//evil.example autoplay>',
  '<b style="position:fixed">x</b>',
  '<div id=root>',
  '<!-- --><img src=//evil.example>',
  '<details open ontoggle=alert(1)>',
  '<template><img src=x></template>',
  '<noscript><p title="</noscript><img src=x>">',
];
const wraps = [(t) => t, (t) => `**${t}**`, (t) => `> ${t}`, (t) => `\`\`\`\n${t}`, (t) => `# ${t}`];
const deep = [
  '> '.repeat(10_000) + 'x',
  '- '.repeat(10_000) + 'x',
  '['.repeat(10_000),
  '*a '.repeat(10_000),
  '\u202e\u2066'.repeat(500) + '`\u202e`',
  '漢字'.repeat(5_000),
  'שלום **עולם** '.repeat(500),
];
const samples = [
  ...addresses.flatMap((a) => frames.map((frame) => frame(a))),
  ...tags.flatMap((tag) => wraps.map((wrap) => wrap(tag))),
  ...deep,
];

// Languages by their names and by what else they are called, and a class that says that they were read as such.
const colours = [
  ['js', 'const a = 1', 'hljs-keyword'],
  ['tsx', 'class A {}', 'hljs-title.class_'],
  ['vue', '<p a="b">x</p>', 'hljs-attr'],
  ['less', '.a { b: c }', 'hljs-selector-class'],
  ['jenkinsfile', 'def x = 1', 'hljs-keyword'],
  ['ino', 'void loop() { x(); }', 'hljs-type'],
  ['pycon', '>>> x = "1"', 'hljs-meta'],
  ['ps1', 'Get-Item "x"', 'hljs-built_in'],
  ['html', '<style>a { color: red }</style>', 'language-css'],
  ['toml', 'a = "b"', 'hljs-attr'],
  ['postgres', 'select 1', 'hljs-keyword'],
];
// What models write, of each package, and what they may not.
const formulas = [
  '\\frac{a}{b} \\in \\R, \\text{and } \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}',
  '\\dv{x}{t} = \\norm{v}',
  '\\ce{2H2 + O2 -> 2H2O}',
  '\\pu{1.5 mol L-1}',
];
const noFormulas = [
  '\\href{javascript:alert(1)}{x}',
  '\\href{https://evil.example/}{x}',
  '\\includegraphics{https://evil.example/a.png}',
  '\\style{color:red}{x}',
  '\\unknown{x}',
];

test('hostile Markdown stays text', { timeout: 120_000 }, async (t) => {
  assert.ok(samples.length >= 300);
  const outDir = mkdtempSync(join(tmpdir(), 'parley-hostile-'));
  t.after(() => rmSync(outDir, { recursive: true }));
  const conditions = ['source', 'module', 'browser', 'development|production'];
  await build({
    root: join(import.meta.dirname, 'hostile'),
    configFile: false,
    logLevel: 'error',
    resolve: { conditions },
    plugins: [libraries],
    worker: { format: 'es' },
    build: { target: 'es2023', outDir, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  });
  const server = createServer(({ url }, response) => {
    const path = join(outDir, url === '/' ? 'index.html' : url);
    response.writeHead(200, { 'content-type': types[extname(path)], 'content-security-policy': policy });
    response.end(readFileSync(path));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => server.close());
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const faults = [];
  const base = `http://127.0.0.1:${server.address().port}/`;
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on(
    'request',
    (request) =>
      /^(http:\/\/127\.0\.0\.1:\d+\/(assets\/[\w.-]+)?$|data:,$)/.test(request.url()) || faults.push(request.url()),
  );
  page.on('dialog', (dialog) => faults.push(dialog.message()));
  await page.goto(base);
  await page.waitForFunction('window.show');
  for (const text of samples) {
    const bad = await page.evaluate(
      ([text, allowed]) => {
        const bad = [];
        for (const growing of [true, false]) {
          window.show(text, growing);
          for (const element of document.querySelectorAll('#root *')) {
            if (!allowed.split(' ').includes(element.localName)) bad.push(element.localName);
            for (const { name, value } of element.attributes) {
              if (/^on|^style$|^src|^id$|^name$/.test(name)) bad.push(name);
              if (name === 'href' && !/^(https?|mailto):/.test(value)) bad.push(value);
            }
          }
        }
        return bad;
      },
      [text, allowed],
    );
    assert.deepEqual(bad, [], text.slice(0, 300));
  }
  // The worker of the colours starts under the policy.
  for (const [language, code, colour] of colours) {
    await page.evaluate((text) => window.show(text, false), `\`\`\`${language}\n${code}\n\`\`\``);
    await page.locator(`.${colour}`).first().waitFor();
  }
  for (const source of formulas) {
    await page.evaluate((text) => window.show(text, false), `$$${source}$$`);
    await page.locator('.md-formula math').waitFor();
    assert.equal(await page.locator('.md-formula code').count(), 0, source);
  }
  for (const source of noFormulas) {
    await page.evaluate((text) => window.show(text, false), `$x$ $${source}$`);
    await page.locator('.md-formula math').waitFor();
    assert.equal(await page.locator('.md-formula code').innerText(), source);
    assert.equal(await page.locator('.md-formula').nth(1).locator('a, img, [href], [src]').count(), 0);
  }
  assert.deepEqual(faults, []);
});
