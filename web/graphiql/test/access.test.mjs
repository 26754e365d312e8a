// The page is for everybody: axe finds nothing in either theme, on a desk or on a telephone, and nothing is wider than
// the screen.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { editor, launch, open, openTab, picture, run, timeout } from './page.mjs';

const axe = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

for (const colorScheme of ['light', 'dark']) {
  for (const [device, viewport] of [
    ['desk', { width: 1280, height: 800 }],
    ['telephone', { width: 390, height: 844 }],
  ]) {
    test(`axe finds nothing: ${colorScheme}, ${device}`, { timeout: 3 * timeout }, async (t) => {
      // axe itself comes from outside of the page, which its policy forbids.
      const context = await browser.newContext({ viewport, colorScheme, bypassCSP: true });
      t.after(() => context.close());
      const page = await open(context);
      await page.evaluate(axe);
      const check = async (state) => {
        await picture(page, `access-${colorScheme}-${device}-${state}`);
        const found = await page.evaluate(async () => {
          const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
          return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' ')}`);
        });
        assert.deepEqual(found, [], state);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= viewport.width, `${state}: ${width} pixels wide on a screen of ${viewport.width}`);
      };
      await check('start');

      const icon = (name) => page.getByRole('button', { name, exact: true });
      await icon('Show Documentation Explorer').click();
      await page.getByText('Root Types').waitFor();
      await page.getByRole('link', { name: 'Query', exact: true }).first().click();
      await page.getByText('viewer').first().waitFor();
      await check('docs');
      await icon('Hide Documentation Explorer').click();
      await icon('Open settings dialog').click();
      await page.getByRole('dialog').waitFor();
      await check('settings');
      await page.keyboard.press('Escape');

      // Everything that the way through the page needs is on the screen.
      await openTab(page, 'SignIn');
      await run(page);
      await editor(page, '.graphiql-response').getByText('"errors"').waitFor();
      await page.getByRole('button', { name: 'Headers' }).click();
      for (const place of ['.graphiql-query-editor', '.graphiql-editor-tool', '.graphiql-response']) {
        const { width, height } = await page.locator(place).boundingBox();
        assert.ok(width >= 350 && height >= 80, `${place} has ${width} × ${height} pixels`);
      }
      await check('answer');
    });
  }
}
