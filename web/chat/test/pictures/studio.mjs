// Where pictures are taken: one browser with a page for the desk and one for the phone, each with a person of its own,
// whose pictures in both themes are compared with the references or take their place.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { desk, launch, phone, timeout } from '../page.mjs';
import { beside, cut, differences, reduce } from './compare.mjs';
import { blockFont } from './font.mjs';
import { decode, encode } from './png.mjs';

const references = join(import.meta.dirname, 'references');
const password = 'four quiet lanterns';
const themes = ['light', 'dark'];
/** So often a picture is taken again that is not yet what it is to be. */
const tries = 12;

/** What is written anew: the references, or pictures for people, with the fonts of this machine, in a folder. */
const isWriting = process.env.PARLEY_PICTURES_WRITE === 'on';
const folder = process.env.PARLEY_PICTURES;
export const isComparing = !isWriting && !folder;

export class Studio {
  /** Pictures that differ, as lines to read. */
  #found = [];
  #left = null;

  static async open(server) {
    const studio = new Studio();
    studio.server = server;
    studio.browser = await launch();
    const devices = [
      { name: 'desk', viewport: desk, email: 'ada.d@example.org' },
      { name: 'phone', viewport: phone, email: 'ada.p@example.org', isMobile: true, hasTouch: true },
    ];
    studio.pages = await Promise.all(devices.map((device) => studio.#enter(device)));
    return studio;
  }

  async #enter({ name, email, ...options }) {
    const context = await this.browser.newContext({
      ...options,
      reducedMotion: 'reduce',
      locale: 'en-US',
      timezoneId: 'UTC',
      baseURL: this.server,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(Number(process.env.PARLEY_PATIENCE ?? timeout));
    // The day has just begun, so that what the server dates is of today, and times are written alike.
    await page.clock.setFixedTime(new Date(new Date().setUTCHours(0, 0, 10, 0)));
    await steady(page);
    return Object.assign(page, { device: name, person: { email, password }, talks: {} });
  }

  close() {
    return this.browser?.close();
  }

  /** both does the same on both pages. */
  both(work) {
    return Promise.all(this.pages.map(work));
  }

  /** shoot takes the pictures of what is seen. */
  async shoot(name, most = tries) {
    const taken = await this.both((page) => this.#ofPage(page, name, most));
    if (isWriting && !folder) {
      mkdirSync(references, { recursive: true });
      writeFileSync(join(references, `${name}.png`), encode(beside(taken.flat())));
    }
  }

  async #ofPage(page, name, most) {
    const { width, height } = page.viewportSize();
    const [size, left] = [reduced(width, height), page.device === 'desk' ? 0 : 2 * reduced(desk.width, 0).width];
    const taken = [];
    for (const [i, colorScheme] of themes.entries()) {
      await page.emulateMedia({ colorScheme });
      const wanted = isWriting || folder ? null : this.#reference(name, left + i * size.width, size);
      taken.push(await this.#take(page, `${name}-${page.device}-${colorScheme}`, wanted, most));
    }
    return taken;
  }

  #reference(name, left, { width, height }) {
    const file = join(references, `${name}.png`);
    return existsSync(file) ? cut(decode(readFileSync(file)), left, width, height) : null;
  }

  /** One picture, once it is like the reference, or like itself a moment before where there is none. */
  async #take(page, name, reference, most) {
    let [full, small] = await picture(page);
    let off = reference ? differences(small, reference) : [null];
    for (let i = 1; i < most && off.length > 0; i++) {
      const before = small;
      [full, small] = await picture(page);
      off = differences(small, reference ?? before);
    }
    if (folder) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${name}.png`), full);
    } else if (!isWriting && (off.length > 0 || !reference)) this.#tell(name, full, off);
    return small;
  }

  /** leave keeps what is seen, where something went wrong. */
  async leave() {
    const files = await this.both(async (page) => this.#keep(page.device, (await picture(page))[0]));
    return files.join(', ');
  }

  #keep(name, full) {
    this.#left ??= mkdtempSync(join(tmpdir(), 'parley-pictures-'));
    const file = join(this.#left, `${name}.png`);
    writeFileSync(file, full);
    return file;
  }

  #tell(name, full, off) {
    const file = this.#keep(name, full);
    this.#found.push(`${name}: ${off[0] ? off.map(said).join('; ') : 'there is no reference'} (${file})`);
  }

  /** found returns what has differed since it was called last. */
  found() {
    return this.#found.splice(0);
  }

  /** agree fails when a picture has differed. */
  agree() {
    const found = this.found();
    assert.equal(found.length, 0, `${found.join('\n')}\nWhere that is meant: npm run pictures`);
  }
}

const said = ({ x, y, width, height, off }) => `${width}×${height} at ${x}, ${y} is off by up to ${off}`;
const reduced = (width, height) => ({ width: Math.ceil(width / 8), height: Math.ceil(height / 8) });

async function picture(page) {
  const full = await page.screenshot({ animations: 'disabled', caret: 'hide' });
  return [full, reduce(decode(full))];
}

/** steady makes pages look alike on all machines: one font, of blocks, and nothing that is another each time. */
async function steady(page) {
  await page.addInitScript(
    ({ font, isForPeople }) => {
      const css = ['.hood small, .hood-code, .talk-details dd { visibility: hidden !important }'];
      if (!isForPeople) {
        document.fonts.add(new FontFace('Block', new Uint8Array(font).buffer, { weight: '100 900' }));
        css.push(':root { --sans: Block; --serif: Block; --mono: Block; font-synthesis: none }');
        css.push('math, math * { font-family: Block !important }');
      }
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css.join('\n'));
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    },
    { font: [...blockFont()], isForPeople: Boolean(folder) },
  );
}

/** plant puts rules into a page, in front of those that make it steady, and returns what takes them out again. */
export async function plant(page, css) {
  await page.evaluate((rules) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(rules);
    document.adoptedStyleSheets = [sheet, ...document.adoptedStyleSheets];
  }, css);
  return () =>
    page.evaluate(() => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.slice(1);
    });
}
