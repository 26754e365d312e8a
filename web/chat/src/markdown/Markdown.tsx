// A message's Markdown as React elements. No string of HTML is made anywhere: what a model writes cannot become
// anything but the elements named here, and nothing is fetched for it.
import { memo, useLayoutEffect, useRef } from 'react';
import type { ReactNode } from 'react';
import type { Token, Tokens } from 'marked';
import { useTexts } from '../texts/index.ts';
import { bare, cut, withPlaces } from './cite.ts';
import type { Citation } from './cite.ts';
import { Code, withControls } from './Code.tsx';
import { Formula } from './Formula.tsx';
import { grow, nothing } from './grow.ts';
import type { Block } from './grow.ts';
import { addressOf, decoded, directionOf } from './text.ts';
import './markdown.css';

export type { Citation };

export interface MarkdownProps {
  text: string;
  /** The text is still being written. */
  growing?: boolean;
  citations?: readonly Citation[];
  /** The level that a first-level heading of the message gets in the page. */
  level?: 2 | 3 | 4 | 5 | 6;
}

const none: readonly Citation[] = [];

/** Markdown shows a message. */
export function Markdown({ text, growing = false, citations = none, level = 3 }: MarkdownProps) {
  const grown = useRef(nothing);
  const hasGrown = useRef(growing);
  hasGrown.current ||= growing;
  grown.current = grow(grown.current, withPlaces(text, citations), growing);
  const { blocks, text: whole, read } = grown.current;
  const last = blocks.at(-1);
  // What came since the last reading of a very long block: shown as it is, in the block where it can be.
  const rest = whole.slice(read);
  const isCode = last?.token.type === 'code';
  return (
    <div className={hasGrown.current ? 'md md-grown' : 'md'}>
      {blocks.map((block) => (
        <BlockView
          key={block.at}
          block={block}
          citations={citations}
          level={level}
          rest={block === last && isCode ? rest : ''}
        />
      ))}
      {rest && !isCode && (
        <p className="md-p" dir="auto">
          {bare(rest).text}
        </p>
      )}
    </div>
  );
}

interface BlockProps {
  block: Block;
  citations: readonly Citation[];
  level: number;
  rest: string;
}

const BlockView = memo(function BlockView({ block, citations, level, rest }: BlockProps) {
  return blockOf(block.token, { citations, level, open: block.open, rest }, 0);
});

interface Context {
  citations: readonly Citation[];
  level: number;
  open: boolean;
  rest: string;
}

function blocksOf(tokens: Token[] | undefined, context: Context): ReactNode[] {
  return (tokens ?? []).map((token, i) => blockOf(token, context, i));
}

function blockOf(token: Token, context: Context, key: number): ReactNode {
  switch (token.type) {
    case 'paragraph':
      return (
        <p key={key} className="md-p" dir="auto">
          {inlineOf(token.tokens, context)}
        </p>
      );
    case 'heading': {
      const Heading = `h${Math.min(6, token.depth + context.level - 1)}` as 'h3';
      return (
        <Heading key={key} className={`md-h md-h${token.depth}`} dir="auto">
          {inlineOf(token.tokens, context)}
        </Heading>
      );
    }
    case 'code': {
      const { text, found } = bare(token.text + context.rest);
      return (
        <div key={key} className="md-block">
          <Code text={text} language={bare(token.lang ?? '').text} open={context.open} />
          {found.map((index) => citationOf(index, context))}
        </div>
      );
    }
    case 'blockquote':
      return (
        <blockquote key={key} className="md-quote" dir={directionOf(token.raw)}>
          {blocksOf(token.tokens, context)}
        </blockquote>
      );
    case 'list':
      return listOf(token as Tokens.List, context, key);
    case 'table':
      return <Table key={key} token={token as Tokens.Table} context={context} />;
    case 'hr':
      return <hr key={key} className="md-hr" />;
    case 'formula': {
      const { text, found } = bare(token.text);
      return (
        <div key={key} className="md-block">
          <Formula source={text} display />
          {found.map((index) => citationOf(index, context))}
        </div>
      );
    }
    case 'space':
    case 'def':
      return null;
    default:
      return inlineOf('tokens' in token && token.tokens ? token.tokens : [token], context);
  }
}

function listOf(token: Tokens.List, context: Context, key: number): ReactNode {
  const direction = directionOf(token.raw);
  const items = token.items.map((item, i) => (
    <li key={i} className={item.task ? 'md-task' : undefined}>
      {blocksOf(item.tokens, context)}
    </li>
  ));
  if (!token.ordered) {
    return (
      <ul key={key} className="md-list" dir={direction}>
        {items}
      </ul>
    );
  }
  const start = Number(token.start);
  return (
    <ol
      key={key}
      className="md-list"
      dir={direction}
      start={Number.isSafeInteger(start) && start < 2 ** 31 ? start : undefined}
    >
      {items}
    </ol>
  );
}

/** So many rows are drawn, or left as they are, at once. */
const rowsATime = 40;

function Table({ token, context }: { token: Tokens.Table; context: Context }) {
  const texts = useTexts().markdown;
  const place = useRef<HTMLTableElement>(null);
  const isHeld = context.open && token.rows.length > rowsATime;
  useLayoutEffect(() => hold(place.current!, isHeld), [isHeld]);
  const parts = Array.from({ length: Math.ceil(token.rows.length / rowsATime) }, (_, i) =>
    token.rows.slice(i * rowsATime, (i + 1) * rowsATime),
  );
  return (
    <div className="md-table" role="region" aria-label={texts.table} tabIndex={0}>
      <table ref={place} dir={directionOf(token.raw)}>
        <thead>
          <tr>{cellsOf(token.header, 'th', context)}</tr>
        </thead>
        {parts.map((rows, i) => (
          <Rows key={i} rows={rows} context={context} />
        ))}
      </table>
    </div>
  );
}

/** hold keeps the columns of a long table as wide as they are: else each new row has all cells measured. */
function hold(table: HTMLTableElement, isHeld: boolean) {
  const parts = [table, ...table.rows[0]!.cells];
  const widths = parts.map((part) => (isHeld ? `${part.getBoundingClientRect().width}px` : ''));
  parts.forEach((part, i) => (part.style.width = widths[i]!));
  table.classList.toggle('md-held', isHeld);
}

/** The rows of a table that grows are the same objects, but for the last ones. */
const Rows = memo(
  function Rows({ rows, context }: { rows: Tokens.TableCell[][]; context: Context }) {
    return (
      <tbody>
        {rows.map((row, i) => (
          <tr key={i}>{cellsOf(row, 'td', context)}</tr>
        ))}
      </tbody>
    );
  },
  (before, now) =>
    before.rows.length === now.rows.length &&
    before.rows.every((row, i) => row === now.rows[i]) &&
    before.context.citations === now.context.citations &&
    before.context.level === now.context.level,
);

function cellsOf(cells: Tokens.TableCell[], Cell: 'th' | 'td', context: Context) {
  return cells.map((cell, i) => (
    <Cell
      key={i}
      className={cell.align ? `md-${cell.align}` : undefined}
      dir="auto"
      scope={Cell === 'th' ? 'col' : undefined}
    >
      {inlineOf(cell.tokens, context)}
    </Cell>
  ));
}

function inlineOf(tokens: Token[] | undefined, context: Context): ReactNode[] {
  return (tokens ?? []).map((token, i) => pieceOf(token, context, i));
}

function pieceOf(token: Token, context: Context, key: number): ReactNode {
  switch (token.type) {
    case 'strong':
      return <strong key={key}>{inlineOf(token.tokens, context)}</strong>;
    case 'em':
      return <em key={key}>{inlineOf(token.tokens, context)}</em>;
    case 'del':
      return <del key={key}>{inlineOf(token.tokens, context)}</del>;
    case 'br':
      return <br key={key} />;
    case 'codespan': {
      const { text, found } = bare(token.text);
      return [
        <code key={key} className="md-code" dir="auto">
          {withControls(text)}
        </code>,
        ...found.map((index) => citationOf(index, context)),
      ];
    }
    case 'formula': {
      const { text, found } = bare(token.text);
      return [
        <Formula key={key} source={text} display={token.display} />,
        ...found.map((index) => citationOf(index, context)),
      ];
    }
    case 'link':
      return linkOf(token as Tokens.Link, context, key);
    case 'image':
      return <Picture key={key} token={token as Tokens.Image} context={context} />;
    case 'checkbox':
      return <TaskBox key={key} checked={token.checked} />;
    // HTML is text, but for the break that models write into tables.
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw) ? <br key={key} /> : textOf(token.raw, context);
    case 'escape':
      return textOf(token.text, context);
    default:
      if ('tokens' in token && token.tokens) return inlineOf(token.tokens, context);
      return textOf(decoded('text' in token ? String(token.text) : token.raw), context);
  }
}

function textOf(text: string, context: Context): ReactNode {
  const parts = cut(text);
  if (parts.length === 1 && typeof parts[0] === 'string') return parts[0];
  return parts.map((part) => (typeof part === 'string' ? part : citationOf(part, context)));
}

function citationOf(index: number, { citations }: Context): ReactNode {
  const citation = citations[index];
  if (!citation) return null;
  const address = addressOf(citation.url);
  const number = citations.findIndex(({ url }) => url === citation.url) + 1;
  return (
    <sup key={`cite-${index}`} className="md-cite">
      {address ? (
        <a href={address.href} title={`${citation.title} · ${address.host}`} {...away}>
          {number}
        </a>
      ) : (
        <span title={citation.title}>{number}</span>
      )}
    </sup>
  );
}

const away = { rel: 'noopener noreferrer nofollow', target: '_blank' };

function linkOf(token: Tokens.Link, context: Context, key: number): ReactNode {
  const href = bare(token.href).text;
  const { found } = bare(token.raw);
  // No link within a link: citations of its words stand behind it.
  const plain = { ...context, citations: none };
  const address = addressOf(token.autolink ? href : decoded(href));
  const inside = token.autolink ? bare(token.text).text : inlineOf(token.tokens, plain);
  const cites = found.map((index) => citationOf(index, context));
  // What may not be followed is marked, and its address can be seen.
  if (!address) {
    return (
      <span key={key} className="md-dead" title={href.slice(0, 200)}>
        {inside}
        {cites}
      </span>
    );
  }
  return [
    <a key={key} className="md-link" href={address.href} title={address.host} data-host={address.host} {...away}>
      {inside}
    </a>,
    ...cites,
  ];
}

function Picture({ token, context }: { token: Tokens.Image; context: Context }) {
  const texts = useTexts().markdown;
  const { text: href, found } = bare(decoded(token.href));
  const address = addressOf(href);
  const name = bare(decoded(token.text)).text;
  const shown = address?.host ?? href.slice(0, 40);
  const inside = (
    <>
      <span className="md-image-kind">{texts.image}</span>
      {name && <bdi>{name}</bdi>}
      <bdi className="md-image-host">{shown}</bdi>
    </>
  );
  return (
    <>
      {address ? (
        <a className="md-image" href={address.href} title={texts.imageNotLoaded(address.href.slice(0, 300))} {...away}>
          {inside}
        </a>
      ) : (
        <span className="md-image">{inside}</span>
      )}
      {found.map((index) => citationOf(index, context))}
    </>
  );
}

function TaskBox({ checked }: { checked: boolean }) {
  const texts = useTexts().markdown;
  return (
    <span
      className="md-box"
      role="img"
      aria-label={checked ? texts.done : texts.open}
      data-checked={checked || undefined}
    />
  );
}
