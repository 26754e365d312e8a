// The messages of the line; only those that are seen are in the document.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { KeyboardEvent, ReactNode, RefObject } from 'react';
import { Virtualizer } from 'virtua';
import type { VirtualizerHandle } from 'virtua';
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import type { TalkMessage } from './list.ts';
import { isFollowing, isNearEnd, relation } from './place.ts';
import type { Scroll } from './place.ts';
import type { TalkOfPage } from './state.ts';

export interface ListProps {
  state: TalkOfPage;
  /** What is on its way, behind the messages. */
  pending: ReactNode[];
  row: (message: TalkMessage) => ReactNode;
  onTurn: (message: TalkMessage, by: -1 | 1) => void;
  /** Set to what shows the end. */
  toEnd: RefObject<(() => void) | null>;
}

/** So near to an edge the next page is asked for. */
const edgePx = 1200;

export function List({ state, pending, row, onTurn, toEnd }: ListProps) {
  const texts = useTexts().talk;
  const { messages } = state;
  const { shift, epoch } = useRelation(messages);
  const scroller = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const rows = useRef<VirtualizerHandle>(null);
  const end = useEnd(scroller, sheet, state);
  toEnd.current = end.show;

  // A page that is shorter than the screen asks for what is before it at once.
  useEffect(() => end.ask());

  const onKeyDown = (event: KeyboardEvent) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight'))
      return;
    const focused = (event.target as Element).closest('[data-message]')?.getAttribute('data-message');
    // Without a message in focus the last one that has versions is meant.
    const message = focused
      ? messages.find(({ id }) => id === focused)
      : messages.findLast(({ siblingCount }) => siblingCount > 1);
    if (!message || message.siblingCount < 2 || (event.target as Element).closest('input, textarea')) return;
    event.preventDefault();
    onTurn(message, event.key === 'ArrowLeft' ? -1 : 1);
  };

  return (
    <div className="talk-room">
      <div
        ref={scroller}
        className="talk-scroll"
        tabIndex={0}
        role="region"
        aria-label={texts.menu}
        onScroll={end.onScroll}
        onKeyDown={onKeyDown}
      >
        <div ref={sheet} className="talk-sheet">
          <p className="talk-edge" role="status">
            {state.isLoadingOlder ? texts.loadingOlder : ''}
          </p>
          <Virtualizer key={epoch} ref={rows} scrollRef={scroller} shift={shift} bufferSize={600}>
            {messages.map((message, i) => (
              <div key={keyOf(message)} className={i < messages.length - 1 ? 'talk-row' : 'talk-row talk-row-last'}>
                {row(message)}
              </div>
            ))}
          </Virtualizer>
          {pending}
        </div>
      </div>
      {!end.isNear && (
        <button type="button" className="talk-to-end" onClick={end.show}>
          <Icon name="down" size={18} />
          {end.fresh > 0 ? texts.toEndNew(end.fresh) : texts.toEnd}
        </button>
      )}
    </div>
  );
}

const keyOf = ({ id }: TalkMessage) => id;

/** Whether rows came or went in front in this very render, and a number that changes when it is another list. */
function useRelation(messages: readonly TalkMessage[]) {
  const before = useRef({ messages, shift: false, epoch: 0 });
  if (before.current.messages !== messages) {
    const how = relation(before.current.messages, messages);
    before.current = { messages, shift: how === 'front', epoch: before.current.epoch + (how === 'other' ? 1 : 0) };
  }
  return before.current;
}

/** Follows the end while the reader is there, asks for more at both edges, and counts what came meanwhile. */
function useEnd(
  scroller: RefObject<HTMLDivElement | null>,
  sheet: RefObject<HTMLDivElement | null>,
  state: TalkOfPage,
) {
  const follows = useRef(true);
  const was = useRef<Scroll>({ top: 0, height: 0, size: 0 });
  const [isNear, setNear] = useState(true);
  const latest = useRef(state);
  latest.current = state;
  const lastIndex = state.messages[state.messages.length - 1]?.index ?? -1;
  const [seen, setSeen] = useState(lastIndex);

  const read = useCallback((): Scroll => {
    const { scrollTop: top, scrollHeight: height, clientHeight: size } = scroller.current!;
    return { top, height, size };
  }, [scroller]);

  const pin = useCallback(() => {
    const element = scroller.current;
    if (!element || !follows.current || latest.current.hasNewer) return;
    element.scrollTop = element.scrollHeight;
    was.current = read();
  }, [scroller, read]);

  const ask = useCallback(() => {
    const element = scroller.current;
    if (!element || latest.current.messages.length === 0) return;
    const { top, height, size } = read();
    if (top < edgePx && latest.current.hasOlder) void latest.current.loadOlder();
    if (height - size - top < edgePx && latest.current.hasNewer) void latest.current.loadNewer();
  }, [scroller, read]);

  const onScroll = useCallback(() => {
    const is = read();
    // While the end is not loaded nobody comes to follow it; who followed it does so still, as when a branch is
    // exchanged and for a moment the line ends too early.
    follows.current = (follows.current || !latest.current.hasNewer) && isFollowing(follows.current, was.current, is);
    was.current = is;
    setNear(follows.current || (isNearEnd(is) && !latest.current.hasNewer));
    ask();
  }, [read, ask]);

  useLayoutEffect(pin);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(pin);
    observer.observe(sheet.current!);
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, [pin, sheet, scroller]);
  useEffect(() => {
    if (isNear) setSeen(lastIndex);
  }, [isNear, lastIndex]);

  const show = useMemo(
    () => () => {
      follows.current = true;
      setNear(true);
      void latest.current.loadEnd().then(pin);
      pin();
    },
    [pin],
  );
  return { isNear, fresh: Math.max(0, lastIndex - seen), onScroll, show, ask };
}
