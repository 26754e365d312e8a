// What a person does in the scenes.
export const button = (within, name) => within.getByRole('button', { name, exact: true }).last();
export const press = (within, name) => button(within, name).click();
export const say = (page, text) => page.getByText(text).first().waitFor();
export const away = (page, selector) => page.locator(selector).first().waitFor({ state: 'detached' });
export const box = (page) => page.getByRole('textbox').last();
export const talkHead = (page) => page.locator('.talk-head');
export const reply = (page, status) => page.locator(`.talk-reply${status ? `[data-status="${status}"]` : ''}`).last();

/** go shows another place of the page, without loading it again. */
export const go = (page, path) =>
  page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new Event('parley:route'));
  }, path);

export async function openTalk(page, name) {
  await go(page, `/c/${page.talks[name].id}`);
  await page.locator('article[data-message]').first().waitFor();
}

/** The list of conversations, which a phone has in a drawer. */
export async function showList(page) {
  if (page.device === 'phone') await press(page, 'Show conversations');
}
export async function hideList(page) {
  if (page.device === 'phone') await press(page, 'Hide conversations');
}

export async function leaveDialog(page) {
  await page.keyboard.press('Escape');
  await away(page, 'dialog[open]');
}

export async function signIn(page) {
  await page.getByLabel('E-mail address').fill(page.person.email);
  await page.getByLabel('Password', { exact: true }).fill(page.person.password);
  await press(page, 'Sign in');
}

/** hold keeps back what the page asks by the names of operations, and returns what lets it go. */
export async function hold(page, names) {
  let release;
  const released = new Promise((done) => (release = done));
  const handler = async (route) => {
    if (names.test(route.request().postData() ?? '')) await released;
    await route.continue().catch(() => {});
  };
  await page.route('**/graphql', handler);
  return async () => {
    release();
    await page.unroute('**/graphql', handler);
  };
}

/** fail has the server fail at operations, until the returned function is called. */
export async function fail(page, names) {
  const handler = (route) => {
    if (!names.test(route.request().postData() ?? '')) return route.continue();
    const errors = [{ message: 'The database is being looked after.', extensions: { code: 'INTERNAL' } }];
    return route.fulfill({ json: { data: null, errors } });
  };
  await page.route('**/graphql', handler);
  return () => page.unroute('**/graphql', handler);
}

/** refuse has the server's answer to a send be a refusal. */
export async function refuse(page, code, extensions = {}) {
  await page.route('**/graphql', (route) => {
    if (!/sendMessage|createConversation/.test(route.request().postData() ?? '')) return route.continue();
    const errors = [
      { message: 'This model is being looked after.', path: ['sendMessage'], extensions: { code, ...extensions } },
    ];
    return route.fulfill({ json: { data: null, errors } });
  });
}
