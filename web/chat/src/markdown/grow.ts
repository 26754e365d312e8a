// The blocks of a text that grows. Only what is behind the last stable block is read again: a block is stable when two
// more follow it. At the end the whole is read once, since a definition of a link may come late.
import type { Links, Token, Tokens } from 'marked';
import remend from 'remend';
import { lex } from './lex.ts';

/** Block is one block of a message. It is the same object as long as it shows the same. */
export interface Block {
  /** Where it begins; its key. */
  at: number;
  token: Token;
  /** How many definitions of links were known when it was read. */
  known: number;
  /** More of it may come. */
  open: boolean;
}

export interface Grown {
  text: string;
  done: boolean;
  blocks: Block[];
  /** How many of the blocks are stable, and where the text behind them begins. */
  stable: number;
  from: number;
  links: Links;
  /** The finished rows of a long table that grows, and the lines above them, by which the rest is read. */
  table: Rows | null;
  /** How far the text was read; what is behind it is shown as it is until the next reading. */
  read: number;
  /** How many characters were read in all: what it costs. */
  cost: number;
}

interface Rows {
  at: number;
  token: Tokens.Table;
  head: string;
}

export const nothing: Grown = {
  text: '',
  done: false,
  blocks: [],
  stable: 0,
  from: 0,
  links: {},
  table: null,
  read: 0,
  cost: 0,
};

/** A tail longer than this is read again only when it grew by a sixteenth, so that one endless block stays linear. */
const longTail = 8192;
/** A list longer than this is shown in parts while it grows. */
const longList = 4096;

const options = {
  htmlTags: false,
  images: false,
  katex: false,
  comparisonOperators: false,
  linkMode: 'text-only',
} as const;

/** grow returns the blocks of text, from those of an earlier and shorter one. It is pure. */
export function grow(before: Grown, text: string, growing: boolean): Grown {
  if (before.text === text && before.done === !growing) return before;
  if (!growing) return whole(before, text);
  const base = text.startsWith(before.text) && !before.done ? before : { ...nothing, cost: before.cost };
  const tail = text.length - base.from;
  if (base.read > base.from && tail > longTail && text.length - base.read < tail / 16) return { ...base, text };
  return further(base, text);
}

function whole(before: Grown, text: string): Grown {
  const { tokens, links } = lex(text);
  const known = Object.keys(links).length;
  const blocks = kept(before.blocks, toBlocks(tokens, 0, known));
  const cost = before.cost + text.length;
  return {
    text,
    done: true,
    blocks,
    stable: blocks.length,
    from: text.length,
    links,
    table: null,
    read: text.length,
    cost,
  };
}

function further(base: Grown, text: string): Grown {
  const head = base.table?.head ?? '';
  const tail = head + text.slice(base.from);
  const { tokens, links } = lex(tail, base.links, true);
  const known = Object.keys(links).length;
  const come = joined(toBlocks(tokens, base.from - head.length, known), base.table);
  const read = kept(base.blocks.slice(base.stable), come);
  const cut = cutOf(read, base);
  const steady = read.slice(0, cut.count);
  const open = kept(base.blocks.slice(base.stable), closed(cut.rest ?? read.slice(cut.count), links, known));
  const defined = { ...base.links };
  for (const { token } of steady) {
    if (token.type === 'def' && links[token.tag]) defined[token.tag] = links[token.tag]!;
  }
  const stable = [...base.blocks.slice(0, base.stable), ...steady, ...(cut.part ? [cut.part] : [])];
  return {
    text,
    done: false,
    blocks: [...stable, ...open],
    stable: stable.length,
    from: cut.from,
    links: defined,
    table: cut.table,
    read: text.length,
    cost: base.cost + tail.length,
  };
}

/** joined puts the finished rows of a table before those that have been read. */
function joined(blocks: Block[], table: Rows | null): Block[] {
  const [first, ...others] = blocks;
  if (!table || first?.token.type !== 'table') return blocks;
  const { rows, raw } = first.token as Tokens.Table;
  const token = {
    ...first.token,
    raw: table.token.raw + raw.slice(table.head.length),
    rows: [...table.token.rows, ...rows],
  };
  return [{ ...first, at: table.at, token: token as Token }, ...others];
}

/** closed ends what is open in the last block: half a pair of stars is shown as what it will be. */
function closed(blocks: Block[], links: Links, known: number): Block[] {
  const last = blocks.at(-1);
  if (!last) return blocks;
  const { token } = last;
  if (token.type === 'code' || token.type === 'formula' || token.raw.length > longTail) {
    return [...blocks.slice(0, -1), { ...last, open: true }];
  }
  const mended = remend(token.raw, options);
  const again = mended === token.raw ? [last] : toBlocks(lex(mended, links, true).tokens, last.at, known);
  return [...blocks.slice(0, -1), ...again.map((block) => ({ ...block, open: true }))];
}

interface Cut {
  count: number;
  from: number;
  /** The finished items of a long list, and what is left of it. */
  part?: Block;
  rest?: Block[];
  table: Rows | null;
}

/** cutOf finds the place behind the last block that two more follow. */
function cutOf(blocks: Block[], { from, table }: Grown): Cut {
  if (blocks.length === 1) {
    const part = partOf(blocks[0]!);
    if (part) return { count: 0, table: null, ...part };
    const rows = rowsOf(blocks[0]!, table);
    if (rows) return { count: 0, from: rows.at + rows.token.raw.length, table: rows };
  }
  if (blocks.length < 3) return { count: 0, from, table };
  const count = blocks.length - 2;
  return { count, from: blocks[count]!.at, table: null };
}

/** rowsOf takes all rows of a long table but the last two. A row is a line. */
function rowsOf({ at, token }: Block, before: Rows | null): Rows | undefined {
  if (token.type !== 'table') return undefined;
  const table = token as Tokens.Table;
  const known = before?.token.rows.length ?? 0;
  const lines = table.raw.slice(before?.token.raw.length ?? 0).split(/(?<=\n)/);
  const head = before?.head ?? lines.slice(0, 2).join('');
  const count = table.rows.length - 2;
  if (table.raw.length < longList || count <= known) return undefined;
  const raw = table.raw.slice(0, table.raw.length - lines.slice(count - known + (before ? 0 : 2)).join('').length);
  return { at, head, token: { ...table, raw, rows: table.rows.slice(0, count) } };
}

function partOf({ at, token, known }: Block): { part: Block; rest: Block[]; from: number } | undefined {
  if (token.type !== 'list' || token.raw.length < longList || token.items.length < 4) return undefined;
  const count = token.items.length - 2;
  const items = token.items.slice(0, count);
  const raw: string = items.map((item: Token) => item.raw).join('');
  if (!token.raw.startsWith(raw)) return undefined;
  const left = token.raw.slice(raw.length);
  const start = token.ordered ? Number(token.start) + count : token.start;
  return {
    part: { at, token: { ...token, raw, items } as Token, known, open: false },
    rest: [
      {
        at: at + raw.length,
        token: { ...token, raw: left, start, items: token.items.slice(count) } as Token,
        known,
        open: true,
      },
    ],
    from: at + raw.length,
  };
}

function toBlocks(tokens: Token[], from: number, known: number): Block[] {
  const blocks: Block[] = [];
  let at = from;
  for (const token of tokens) {
    if (token.type !== 'space') blocks.push({ at, token, known, open: false });
    at += token.raw.length;
  }
  return blocks;
}

/** kept gives back the block that was there before where it shows the same, so that nothing is drawn twice. */
function kept(before: Block[], now: Block[]): Block[] {
  const old = new Map(before.map((block) => [block.at, block]));
  return now.map((block) => {
    const same = old.get(block.at);
    return same &&
      same.token.type === block.token.type &&
      same.token.raw === block.token.raw &&
      same.known === block.known &&
      same.open === block.open
      ? same
      : block;
  });
}
