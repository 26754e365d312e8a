// What screen readers are told. There is one region for the whole page, hidden from the eye: two would talk at once.
import { readSetting } from './settings.ts';

export type Loudness = 'all' | 'end' | 'nothing';

/** How long texts stay in the region: readers that come later are not told old news. */
const kept = 20;
/** Readers miss what is added while they look at what was added before. */
const apart = 150;

let region: HTMLElement | null = null;
const waiting: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** announceIn takes the element with role="log" that texts are put into. */
export function announceIn(element: HTMLElement | null) {
  region = element;
}

/** announce says a text when the reader is free. What is 'progress' is said only to who wants to hear all of a reply;
 * 'end' tells the end of one, and is said to all who want to hear replies at all. */
export function announce(text: string, kind: 'progress' | 'end' | 'note' = 'note') {
  const loudness = readSetting('announce');
  if (kind === 'progress' && loudness !== 'all') return;
  if (kind === 'end' && loudness === 'nothing') return;
  waiting.push(text);
  timer ??= setTimeout(speak, apart);
}

function speak() {
  timer = undefined;
  const text = waiting.shift();
  if (text === undefined) return;
  if (region) {
    const line = document.createElement('p');
    line.textContent = text;
    region.append(line);
    while (region.childElementCount > kept) region.firstElementChild?.remove();
  }
  if (waiting.length) timer = setTimeout(speak, apart);
}
