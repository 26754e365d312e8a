// Markdown as tokens. marked does the work; here its work gets bounds (depth, length of what is searched for pairs),
// formulas, and the rule that HTML is text.
import { Lexer, Tokenizer } from 'marked';
import type { Links, MarkedOptions, Token, TokenizerExtension, Tokens } from 'marked';

/** How deep quotes and lists may be nested; what is deeper is shown as text. */
const maxDepth = 24;
/** How much is searched for pairs (stars, brackets) at once: what is longer is read in pieces, at linear cost. */
const maxInline = 8192;
const maxMarks = 512;
/** How far the end of a formula may be. */
const maxFormula = 2048;
/** How far into a paragraph a formula may end it. */
const maxParagraph = 2048;
/** How much of the text is looked at first for a quote, of which most are short. */
const nearQuote = 2048;
/** Quotes and paragraphs of more lines than this go on as another. A line of a quote that is behind a list has marked
 * read all that is left of it anew, and a line of a paragraph that looks like a table all that might be its rows. */
const longest = 8192;
/** How often a text may be read on the average within quotes and lists, and what a short one may have in addition. */
const maxReadings = 32;
const freeReadings = 32_768;
/** A table fills up its rows. What it makes may not be more than this for each character that was written. */
const maxCells = 2;
const freeCells = 4096;

const marks = /[*_~[\]<`!$\\]/g;

/** Formula is a token of ours. An open one has not got its end yet, while a reply grows. */
export interface Formula {
  type: 'formula';
  raw: string;
  text: string;
  display: boolean;
}

/** beforeFormula is what lies before the next line that may begin a formula, if that is near. The look ahead is short:
 * it is done at each paragraph. */
function beforeFormula(src: string): string | undefined {
  const at = src.slice(0, maxParagraph).search(/\n {0,3}(?:\$\$|\\\[)/);
  return at < 0 ? undefined : src.slice(0, at + 1);
}

class BoundedTokenizer extends Tokenizer {
  depth = 0;
  growing = false;

  /** How many characters may still be read within quotes and lists. */
  left = freeReadings;

  // marked reads the lines behind a nested quote again at each level, which is twice as often for each.
  private nested<T extends { raw: string }>(read: () => T | undefined): T | undefined {
    if (this.depth >= maxDepth || this.left < 0) return undefined;
    this.depth++;
    try {
      const token = read();
      this.left -= token?.raw.length ?? 0;
      return token;
    } finally {
      this.depth--;
    }
  }

  // marked looks for the end of a quote up to the last line that may belong to it, also where it ends at the first.
  override blockquote(src: string) {
    if (!/^ {0,3}>/.test(src)) return undefined;
    const end = src.length > nearQuote ? src.indexOf('\n', nearQuote) + 1 : 0;
    const near = src.slice(0, end);
    const token = end > 0 ? this.nested(() => super.blockquote(near)) : undefined;
    const isWhole = token && near.slice(token.raw.length).trim() !== '';
    if (isWhole) return token;
    const more = src.slice(longest).search(/\n {0,3}>/);
    return this.nested(() => super.blockquote(more < 0 ? src : src.slice(0, longest + more + 1)));
  }

  override list(src: string) {
    return this.nested(() => super.list(src));
  }

  // Whether it is one is told by its first two lines; the search for its last row comes after that.
  override table(src: string) {
    const head = /^[^\n]*\n[^\n]*[|:][^\n]*(?:\n|$)/.exec(src)?.[0];
    const { inlineQueue } = this.lexer;
    const queued = inlineQueue.length;
    const columns = head ? super.table(head)?.header.length : undefined;
    inlineQueue.length = queued;
    if (!columns) return undefined;
    const [all = '', , , rows = ''] = this.rules.block.table.exec(src) ?? [];
    const cells = columns * rows.split('\n').length;
    return cells > maxCells * all.length + freeCells ? undefined : super.table(src);
  }

  // A block of HTML would hide Markdown behind it, and an unclosed comment all that follows.
  override html() {
    return undefined;
  }

  override tag(src: string): Tokens.Tag | undefined {
    const raw = this.rules.inline.tag.exec(src)?.[0];
    return raw
      ? ({ type: 'html', raw, text: raw, inLink: false, inRawBlock: false, block: false } as Tokens.Tag)
      : undefined;
  }

  // A formula on lines of its own ends the paragraph before it.
  override paragraph(src: string) {
    const end = src.indexOf('\n', longest);
    return super.paragraph(beforeFormula(src) ?? (end < 0 ? src : src.slice(0, end + 1)));
  }

  // A heading is a short paragraph with a line below. The search for that line goes on to the end of the paragraph, and
  // is done anew at each formula that is none.
  override lheading(src: string) {
    const near = beforeFormula(src) ?? src.slice(0, maxParagraph);
    const token = super.lheading(near);
    return token && token.raw.length === near.length && near.length < src.length && !near.endsWith('\n')
      ? undefined
      : token;
  }

  override inlineText(src: string) {
    const token = super.inlineText(src);
    const at = token ? token.raw.indexOf('$', 1) : -1;
    if (token && at > 0) token.raw = token.text = token.raw.slice(0, at);
    return token;
  }
}

const blockFormula: TokenizerExtension = {
  name: 'formula',
  level: 'block',
  tokenizer(src) {
    const open = /^ {0,3}(\$\$|\\\[)/.exec(src);
    if (!open) return undefined;
    const from = open[0].length;
    const near = src.slice(from, from + maxFormula);
    const end = near.indexOf(open[1] === '$$' ? '$$' : '\\]');
    // Most that begin so and are none are told here: the search for an empty line costs ten times as much.
    const { growing } = this.lexer.options.tokenizer as BoundedTokenizer;
    if (end < 0 && !(growing && from + near.length === src.length)) return undefined;
    const body = end < 0 ? near : near.slice(0, end);
    if (/\n[ \t]*\n/.test(body)) return undefined;
    if (end < 0) return { type: 'code', raw: src, lang: 'latex', text: src };
    const rest = /^[ \t]*(?:\n|$)/.exec(src.slice(from + end + 2, from + end + 2 + 256));
    const text = body.trim();
    if (!rest || !text) return undefined;
    return { type: 'formula', raw: src.slice(0, from + end + 2) + rest[0], text, display: true };
  },
};

const inlineFormula: TokenizerExtension = {
  name: 'formulaInline',
  level: 'inline',
  tokenizer(src) {
    // Money is no formula: no space behind the first sign or before the last, no digit behind the last.
    const found =
      /^\$\$([^$]{1,2000}?)\$\$/.exec(src) ??
      /^\$(?![\s$])((?:\\[^\n]|[^$\\\n]){0,1000}?[^$\\\s]|\\[^\n])\$(?![\d\w$])/.exec(src) ??
      /^\\\(([^\n]{1,1000}?)\\\)/.exec(src) ??
      /^\\\[([\s\S]{1,2000}?)\\\]/.exec(src);
    if (!found || !found[1]?.trim()) return undefined;
    return { type: 'formula', raw: found[0], text: found[1].trim(), display: src.startsWith('$$') || src[1] === '[' };
  },
};

class BoundedLexer extends Lexer {
  override inlineTokens(src: string, tokens: Token[] = []): Token[] {
    if (src.length <= maxMarks) return super.inlineTokens(src, tokens);
    for (const piece of pieces(src)) super.inlineTokens(piece, tokens);
    return tokens;
  }
}

/** pieces cuts a long text at spaces, each with a bounded number of signs that may be halves of pairs. */
function* pieces(src: string): Generator<string> {
  let start = 0;
  while (start < src.length) {
    let limit = Math.min(src.length, start + maxInline);
    marks.lastIndex = start;
    for (let count = 0; count < maxMarks; count++) {
      const mark = marks.exec(src);
      if (!mark || mark.index >= limit) break;
      if (count === maxMarks - 1) limit = mark.index + 1;
    }
    let end = limit;
    if (end < src.length) {
      const space = src.lastIndexOf(' ', end);
      if (space > start + (limit - start) / 2) end = space + 1;
      else if (/[\uDC00-\uDFFF]/.test(src[end]!)) end++;
    }
    yield src.slice(start, end);
    start = end;
  }
}

export interface Lexed {
  tokens: Token[];
  links: Links;
}

/** lex reads Markdown. What earlier text defined for links may be given. It never throws. */
export function lex(src: string, links?: Links, growing = false): Lexed {
  const tokenizer = new BoundedTokenizer();
  tokenizer.growing = growing;
  tokenizer.left += maxReadings * src.length;
  const lexer = new BoundedLexer({
    gfm: true,
    tokenizer,
    extensions: {
      renderers: {},
      childTokens: {},
      block: [blockFormula.tokenizer],
      inline: [inlineFormula.tokenizer],
    },
  } as MarkedOptions);
  Object.assign(lexer.tokens.links, links);
  try {
    return { tokens: lexer.lex(src), links: lexer.tokens.links };
  } catch {
    // Whatever breaks the reader is still a text.
    return {
      tokens: [{ type: 'paragraph', raw: src, text: src, tokens: [{ type: 'text', raw: src, text: src }] }],
      links: {},
    };
  }
}
