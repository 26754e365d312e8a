// What the tests of GraphiQL share: what a person does in the page. The browser is in web/testing.
import { chromium } from 'playwright-core';
import { base, launch as launchBy, picture, timeout, watchForFaults } from '../../testing/browser.mjs';

export { base, picture, timeout, watchForFaults };

export const launch = () => launchBy(chromium);

/** open opens GraphiQL in a context and waits until it can be used. */
export async function open(context, server = base) {
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  await page.goto(`${server}/graphiql/`);
  await editor(page, '.graphiql-query-editor').locator('.view-line').first().waitFor();
  return page;
}

/** type replaces what an editor holds: operation.graphql, variables.json or request-headers.json. */
export function type(page, file, text) {
  return page.evaluate(
    ([file, text]) => globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith(file)).setValue(text),
    [file, text],
  );
}

/** contentOf returns what an editor holds. */
export function contentOf(page, file) {
  return page.evaluate(
    (file) => globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith(file)).getValue(),
    file,
  );
}

/** tokenOf returns the token in the headers of the open tab. */
export async function tokenOf(page) {
  return JSON.parse(await contentOf(page, 'request-headers.json')).Authorization.replace('Bearer ', '');
}

/** signIn signs in on the page, as somebody whose account exists. */
export async function signIn(page, email, password) {
  await openTab(page, 'SignIn');
  await type(
    page,
    'operation.graphql',
    `mutation SignIn { signIn(input: {email: "${email}", password: "${password}"}) { user { email } accessToken refreshToken } }`,
  );
  await run(page);
  await page.getByRole('status').getByText(`Signed in as ${email}`).waitFor();
}

/** The text of a Monaco editor as the user sees it. */
export function editor(page, section) {
  return page.locator(`${section} .view-lines`).filter({ visible: true });
}

/** openTab waits until the editor shows the tab: pressing play sooner would run the operation of the tab before. */
export async function openTab(page, title) {
  await page.getByRole('button', { name: title, exact: true }).click();
  await editor(page, '.graphiql-query-editor').getByText(title).last().waitFor();
}

export async function run(page) {
  await page.getByRole('button', { name: /^Execute query/ }).click();
}

/** recordReply notes each length of the text in the response pane until the reply is complete. */
export async function recordReply(page) {
  await page.evaluate(() => {
    const pane = document.querySelector('.graphiql-response .view-lines');
    window.replyLengths = new Set();
    window.replyIsFinished = false;
    const look = () => {
      // Monaco positions its lines freely: their order on the screen is not the order of the elements.
      const lines = [...pane.querySelectorAll('.view-line')].sort(
        (a, b) => parseInt(a.style.top) - parseInt(b.style.top),
      );
      const text = lines
        .map((line) => line.textContent)
        .join('')
        .replaceAll('\u00a0', ' ');
      if (!text.includes('"messageEvents"')) return;
      const content = /"content": "(.*)"/.exec(text)?.[1];
      if (content !== undefined) window.replyLengths.add(content.length);
      if (text.includes('"COMPLETED"')) window.replyIsFinished = true;
    };
    new MutationObserver(look).observe(pane, { childList: true, subtree: true, characterData: true, attributes: true });
  });
}
