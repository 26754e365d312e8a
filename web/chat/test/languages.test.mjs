// The page in other languages: from right to left, and when a language cannot be loaded.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base, launch, look, newPerson, phone, timeout, visit } from './page.mjs';

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

const limit = { timeout: 2 * timeout };

test('the page is whole from right to left', limit, async (t) => {
  const page = await visit(t, browser, { locale: 'ar', viewport: phone, bypassCSP: true });
  const person = await newPerson();
  await page.getByRole('button', { name: 'تسجيل الدخول' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('dir'), 'rtl');
  assert.equal(await page.locator('html').getAttribute('lang'), 'ar');
  await look(page, 'ar-sign-in');
  await page.getByLabel('البريد الإلكتروني').fill(person.email);
  await page.getByLabel('كلمة المرور', { exact: true }).fill(person.password);
  await page.getByRole('button', { name: 'تسجيل الدخول' }).click();
  await page.getByRole('button', { name: 'ساعدني في التخطيط للأسبوع القادم' }).waitFor();
  await look(page, 'ar-start');
  // What is written from left to right still stands at the end of the page's line, with its corner there.
  await page.getByRole('textbox').last().fill('Hello');
  await page.keyboard.press('Enter');
  const bubble = page.locator('.talk-bubble', { hasText: 'Hello' });
  await bubble.waitFor();
  await page.getByRole('button', { name: 'إعادة الرد' }).first().waitFor();
  await look(page, 'ar-talk');
  const { left, right, corners } = await bubble.evaluate((element) => {
    const { left, right } = element.getBoundingClientRect();
    const { borderBottomLeftRadius: a, borderBottomRightRadius: b } = getComputedStyle(element);
    return { left, right: innerWidth - right, corners: [parseFloat(a), parseFloat(b)] };
  });
  assert.ok(left < right, `the question stands ${left} from the left and ${right} from the right`);
  assert.ok(corners[0] < corners[1], `corners of ${corners}`);
});

test('a language that cannot be loaded is English', limit, async (t) => {
  const page = await visit(t, browser, { locale: 'ja', allow: /ERR_FAILED/ });
  await page.getByRole('button', { name: 'サインイン' }).waitFor();
  await page.context().route(/\/assets\/ja-/, (route) => route.abort());
  await page.goto(`${base}/`);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
});
