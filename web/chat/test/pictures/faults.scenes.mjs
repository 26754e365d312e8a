// What the pictures must find, and what they must not.
import assert from 'node:assert/strict';
import { openTalk, reply } from './acts.mjs';
import { isComparing, plant } from './studio.mjs';

/** A fault of each kind, in the picture of a reply that is complete. */
const faults = {
  'a bar of buttons is missing': '.talk-acts { display: none }',
  'the button to send is missing': '.comp-send { visibility: hidden }',
  'the accent is another colour of the same lightness': ':root { --accent: oklch(45% 0.085 300) !important }',
  'the dark paper is a little lighter':
    ':root { --paper: light-dark(oklch(98.6% 0.004 85), oklch(25% 0.006 75)) !important }',
  'the column is shifted by four pixels': '.talk-room { translate: 4px 0 }',
  'a panel lies over the text': '.talk-head { position: fixed; inset: 40% 20%; background: var(--tint) }',
  'the text is a size larger': ':root { --text-body: 1.25rem !important }',
};
/** Families that the page may name some day. That they change nothing proves that the font of blocks stands in for all
 * of them, so that the fonts of a machine do not matter. A change of the family is what these pictures miss. */
const otherFonts = ':root { --sans: monospace; --serif: cursive; --mono: serif } html { font-family: fantasy }';

async function withRules(studio, css, then) {
  const undo = await studio.both((page) => plant(page, css));
  const found = await then();
  await studio.both((_, i) => undo[i]());
  return found;
}

export async function faultsAreFound({ studio }) {
  await studio.both(async (page) => {
    await openTalk(page, 'versions');
    await reply(page, 'COMPLETED').getByText('2/3').waitFor();
  });
  const shoot = async (tries) => {
    await studio.shoot('faults', tries);
    return studio.found();
  };
  assert.deepEqual(await shoot(), []);
  if (!isComparing) return;
  for (const [fault, css] of Object.entries(faults)) {
    const found = await withRules(studio, css, () => shoot(1));
    assert.notEqual(found.length, 0, fault);
  }
  assert.deepEqual(await withRules(studio, otherFonts, () => shoot()), []);
}
