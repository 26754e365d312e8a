// Which heading a conversation stands under.
import type { Row } from './talks.ts';

export interface DayNames {
  today: string;
  yesterday: string;
  week: string;
}

const day = 86_400_000;

/** dayOf names the day of a time as a person says it: the nearest by a word, the older ones by month. */
export function dayOf(time: string, now: Date, language: string, names: DayNames): string {
  const at = new Date(time);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  // Days are counted by the calendar: they have 23 to 25 hours.
  const days = Math.round(
    (midnight.getTime() - new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime()) / day,
  );
  if (days <= 0) return names.today;
  if (days === 1) return names.yesterday;
  if (days <= 7) return names.week;
  const year = at.getFullYear() === now.getFullYear() ? undefined : 'numeric';
  return new Intl.DateTimeFormat(language, { month: 'long', year }).format(at);
}

export type Entry = { kind: 'heading'; key: string; text: string } | { kind: 'row'; key: string; row: Row };

/** entriesOf puts headings between rows: what is pinned first, then by day. */
export function entriesOf(rows: readonly Row[], pinned: string, headingOf: (row: Row) => string): Entry[] {
  const entries: Entry[] = [];
  let last = '';
  for (const row of [...rows.filter((one) => one.pinned), ...rows.filter((one) => !one.pinned)]) {
    const text = row.pinned ? pinned : headingOf(row);
    if (text !== last) entries.push({ kind: 'heading', key: `heading ${text}`, text });
    last = text;
    entries.push({ kind: 'row', key: row.id, row });
  }
  return entries;
}
