// How steady a text stands while its reader goes up and older messages come in front of it.

/** scrolled goes up to the first message of a talk, and returns the farthest that anything moved which stood still. */
export async function scrolled(side, id) {
  const shown = await side.start();
  await side.open(shown, id);
  await shown.page.locator('article').last().waitFor();
  const seen = await shown.page.evaluate(goUp, side.scroller);
  await shown.close();
  return seen;
}

/** goUp runs in the page. */
async function goUp(selector) {
  const scroller = document.querySelector(selector);
  /** Where each message is in the next frame as it is painted: before, lists may still move what they have put in. */
  const painted = () =>
    new Promise((resolve) => {
      requestAnimationFrame(() => {
        const observer = new IntersectionObserver((entries) => {
          observer.disconnect();
          resolve(new Map(entries.map(({ target, boundingClientRect }) => [target, boundingClientRect])));
        });
        for (const one of scroller.querySelectorAll('article')) observer.observe(one);
      });
    });
  const edge = scroller.getBoundingClientRect();
  const seen = { jump: 0, jumps: 0, pages: 0, messages: 0 };
  let at = await painted();
  let height = scroller.scrollHeight;
  for (let still = 0; still < 100;) {
    // What was read in the last frame, and stays on the screen.
    const read = [...at].find(([, { bottom, top }]) => bottom > edge.top && top < edge.bottom - 350);
    const from = scroller.scrollTop;
    scroller.scrollTop -= 300;
    const by = from - scroller.scrollTop;
    still = by === 0 ? still + 1 : 0;
    // It is where the scroll has put it, and stays there while nobody scrolls.
    for (let i = 0; i < 2; i++) {
      at = await painted();
      const off = read && at.has(read[0]) ? Math.abs(at.get(read[0]).top - read[1].top - by) : 0;
      seen.jump = Math.max(seen.jump, off);
      if (off > 2) seen.jumps++;
    }
    seen.messages = Math.max(seen.messages, at.size);
    if (scroller.scrollHeight > height + 2000) seen.pages++;
    height = scroller.scrollHeight;
  }
  const first = scroller.querySelector('article').textContent;
  if (!first.includes('Number 0.')) throw new Error(`the scroll has come to ${first.slice(0, 40)}`);
  return seen;
}
