// What is text in a token: references to characters, and addresses that may be followed.
const named: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  bull: '•',
  middot: '·',
  times: '×',
  divide: '÷',
  minus: '−',
  plusmn: '±',
  le: '≤',
  ge: '≥',
  ne: '≠',
  asymp: '≈',
  infin: '∞',
  rarr: '→',
  larr: '←',
  uarr: '↑',
  darr: '↓',
  harr: '↔',
  rArr: '⇒',
  deg: '°',
  euro: '€',
  pound: '£',
  yen: '¥',
  cent: '¢',
  sect: '§',
  para: '¶',
  micro: 'µ',
  alpha: 'α',
  beta: 'β',
  gamma: 'γ',
  delta: 'δ',
  pi: 'π',
  sum: '∑',
  radic: '√',
  frac12: '½',
  sup2: '²',
  sup3: '³',
  szlig: 'ß',
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  eacute: 'é',
  zwj: '\u200d',
  zwnj: '\u200c',
  shy: '\u00ad',
  ensp: '\u2002',
  emsp: '\u2003',
  colon: ':',
  sol: '/',
  Tab: '\t',
  NewLine: '\n',
  num: '#',
  lpar: '(',
  rpar: ')',
  ast: '*',
  lowbar: '_',
  vert: '|',
  verbar: '|',
};

/** decoded resolves references such as &amp; and &#65;. Unknown ones stay as they are. */
export function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z][a-zA-Z0-9]{1,10}));/g,
    (all, decimal, hex, name) => {
      if (name) return Object.hasOwn(named, name) ? named[name]! : all;
      const code = decimal ? Number(decimal) : parseInt(hex, 16);
      const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
      return isCharacter ? String.fromCodePoint(code) : '\ufffd';
    },
  );
}

export interface Address {
  href: string;
  /** What to show of it: the host, or the address of a mail. */
  host: string;
}

/** addressOf returns an address that a person may follow: http, https and mailto, complete ones only. */
export function addressOf(href: string): Address | undefined {
  if (href.length > 8192) return undefined;
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return undefined;
  }
  if (url.protocol === 'mailto:') return { href: url.href, host: url.pathname.slice(0, 100) };
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  return { href: url.href, host: url.host };
}

/** directionOf tells the direction of a text by its first letter. dir="auto" looks past what has a direction of its
 * own, such as the lines of a list, and the list would have none. */
export function directionOf(text: string): 'rtl' | 'ltr' | undefined {
  const letter = /\p{L}/u.exec(text)?.[0];
  if (letter === undefined) return undefined;
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u.test(letter)
    ? 'rtl'
    : 'ltr';
}
