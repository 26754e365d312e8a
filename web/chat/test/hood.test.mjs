// "Under the hood": what a click has sent and what came of it, and nothing secret.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, look, picture, send, signUp, visit } from './page.mjs';

const limit = { timeout: 120_000 };
let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

for (const [colorScheme, device, options] of [['light', 'desk', {}]]) {
  test(`the drawer shows what went over the line: ${colorScheme}, ${device}`, limit, async (t) => {
    const page = await visit(t, browser, { colorScheme, bypassCSP: true, ...options });
    const person = await signUp(page);
    await send(page, 'Hello');
    await page.waitForURL('**/c/*');
    await page.locator('.talk-head').getByRole('button').last().click();
    await page.getByRole('menuitem', { name: 'Under the hood' }).click();
    const drawer = page.getByRole('complementary', { name: 'Under the hood' });
    await drawer.getByText('MessageFinished').first().waitFor();
    await drawer.getByRole('searchbox').fill('sendMessage');
    const sent = drawer.locator('.hood-entry').last();
    await sent.locator('summary').click();
    await sent.getByText('sendMessage(input: $input)', { exact: false }).first().waitFor();
    await look(page, `hood-${colorScheme}-${device}`);
    await drawer.getByRole('searchbox').fill('');
    await drawer.locator('details').evaluateAll((all) => all.forEach((one) => (one.open = true)));
    const said = await drawer.textContent();
    assert.ok(!said.includes(person.password), 'a password is shown');
    assert.doesNotMatch(said, /eyJ[\w-]+\./, 'a token is shown');
    await drawer.getByRole('searchbox').fill('sendMessage');
    const [graphiql] = await Promise.all([
      page.waitForEvent('popup'),
      sent.getByRole('link', { name: 'Open GraphiQL' }).click(),
    ]);
    await graphiql.locator('.graphiql-query-editor').getByText('sendMessage').first().waitFor();
    await graphiql.locator('.graphiql-editor-tool').getByText('"Hello"').waitFor();
    assert.equal(await graphiql.locator('.graphiql-tab-active .graphiql-tab-button').textContent(), 'sendMessage');
    assert.equal(new URL(graphiql.url()).hash, '', 'the operation stays in the address');
    await picture(graphiql, 'hood-graphiql');
    await graphiql.close();
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'detached' });
  });
}
