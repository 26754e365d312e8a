// Panels that open beside a button, in the top layer, where nothing cuts them off.
const gap = 4;
const edge = 8;

/** place puts a panel below its button where there is room and above otherwise, or where there is more room when it
 * would rather be above; and never over an edge of the page. */
export function place(button: HTMLElement, panel: HTMLElement, wish: 'below' | 'above' = 'below') {
  const at = button.getBoundingClientRect();
  const { width } = panel.getBoundingClientRect();
  // It grows towards the middle of the page.
  const isFarEnd = at.left + at.width / 2 > innerWidth / 2;
  const left = isFarEnd ? at.right - width : at.left;
  panel.style.left = `${Math.max(edge, Math.min(left, innerWidth - width - edge))}px`;
  const below = innerHeight - at.bottom;
  const isBelow = wish === 'above' ? below >= at.top : below >= Math.min(panel.scrollHeight + gap + edge, at.top);
  panel.style.top = isBelow ? `${at.bottom + gap}px` : 'auto';
  panel.style.bottom = isBelow ? 'auto' : `${innerHeight - at.top + gap}px`;
  panel.style.maxHeight = `${(isBelow ? below : at.top) - gap - edge}px`;
}

/** nextOf tells which item a key leads to, or null for keys that lead nowhere. */
export function nextOf(key: string, current: number, count: number): number | null {
  switch (key) {
    case 'ArrowDown':
      return (current + 1) % count;
    case 'ArrowUp':
      return (current - 1 + count) % count;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}
