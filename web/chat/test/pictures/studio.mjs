// Where pictures are taken: one browser with a page for the desk and one for the phone, each with a person of its own,
// whose pictures are compared with the references or take their place.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { watchForFaults } from '../../../testing/browser.mjs';
import { desk, launch, phone, timeout } from '../page.mjs';
import { differences, reduce } from './compare.mjs';
import { blockFont } from './font.mjs';
import { decode } from './png.mjs';
import { read, write } from './references.mjs';

const password = 'four quiet lanterns';
/** So often a picture is taken again that is not yet what it is to be. */
const tries = 30;
const themes = ['light', 'dark'];

/** What is written anew: the references, or pictures for people, with the fonts of this machine, in a folder. */
const folder = process.env.PARLEY_PICTURES;
const isWriting = !folder && process.env.PARLEY_PICTURES_WRITE === 'on';
export const isComparing = !isWriting && !folder;

export class Studio {
  /** Pictures that differ, as lines to read. */
  #found = [];
  #left = null;
  #faults = [];
  #references = new Map();
  #taken = new Map();

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
    watchForFaults(context, page, this.server, this.#faults);
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

  /** begin opens the references of a group of scenes. */
  begin(group) {
    this.#references = read(group);
    this.#taken = new Map();
    this.found();
    this.#faults.length = 0;
  }

  /** end fails when a picture of the group has differed, or when anything happened that must not. */
  end(group, allow) {
    const found = this.found();
    const faults = this.#faults.splice(0).filter((fault) => !allow?.test(fault));
    if (isWriting) write(group, this.#taken);
    else if (isComparing)
      for (const name of this.#references.keys())
        if (!this.#taken.has(name)) found.push(`${name}: there is a reference, and no picture`);
    assert.equal(found.length, 0, `${found.join('\n')}\nWhere that is meant: npm run pictures`);
    assert.deepEqual(faults, []);
  }

  /** shoot takes the pictures of what is seen. */
  shoot(name, most = tries) {
    return this.both(async (page) => {
      for (const colorScheme of themes) {
        await page.emulateMedia({ colorScheme });
        if (!isComparing) await settle(page);
        await this.#take(page, `${name}-${page.device}-${colorScheme}`, most);
      }
    });
  }

  /** One picture, once it is like the reference, or like itself a moment before where there is none. */
  async #take(page, name, most) {
    const reference = isComparing ? this.#references.get(name) : null;
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
    } else if (isComparing && (off.length > 0 || !reference)) this.#tell(name, full, off);
    this.#taken.set(name, small);
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
}

const said = ({ x, y, width, height, off }) => `${width}×${height} at ${x}, ${y} is off by up to ${off}`;

async function picture(page) {
  const full = await page.screenshot({ animations: 'disabled', caret: 'hide' });
  return [full, reduce(decode(full))];
}

/** settle waits until nothing has changed for some pictures: what is loaded by need comes late. */
async function settle(page) {
  let [, before] = await picture(page);
  for (let alike = 0; alike < 6;) {
    const [, now] = await picture(page);
    alike = differences(now, before).length === 0 ? alike + 1 : 0;
    before = now;
  }
}

/** steady makes pages look alike on all machines: one font, of blocks, and nothing that is another each time. */
async function steady(page) {
  await page.addInitScript(
    ({ font, isForPeople }) => {
      const css = [];
      if (!isForPeople) {
        css.push('.hood small, .talk-details dd { visibility: hidden !important }');
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
