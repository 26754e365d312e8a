// The open talk: its header, its messages, and where one writes. Without a talk it is the start, whose first message
// makes one; then the composer goes to its place, and is the same element all the time.
import { lazy, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { Composer } from '../composer/Composer.tsx';
import { useOutbox } from '../composer/box.ts';
import { isPending } from '../composer/sends.ts';
import type { SentMessage } from '../composer/Composer.tsx';
import { Late } from '../app/Late.tsx';
import { go, Link, pathOf } from '../app/route.ts';
import { fetchMarkdown } from '../markdown/index.tsx';
import en from '../texts/en/index.ts';
import { useTexts } from '../texts/index.ts';
import type { Texts } from '../texts/index.ts';
import { useActions } from './actions.ts';
import { Header, Sure } from './Header.tsx';
import { List } from './List.tsx';
import type { TalkMessage } from './list.ts';
import { Message, Pending } from './Message.tsx';
import { begunWith } from './begun.ts';
import { talkOf, useTalk } from './state.ts';
import type { TalkOfPage } from './state.ts';
import { useSpeech } from './useSpeech.ts';
import './talk.css';

const Correct = lazy(() => import('./Dialogs.tsx').then((all) => ({ default: all.Correct })));
const OtherModel = lazy(() => import('./Dialogs.tsx').then((all) => ({ default: all.OtherModel })));

export interface TalkProps {
  /** Null: the empty start. */
  id: string | null;
  /** What stands before the name, such as the way to the sidebar on a phone. */
  lead?: ReactNode;
  /** Of the operator, for the empty start. */
  suggestions?: readonly string[];
  /** Shows what went over the line. */
  onHood?: (() => void) | undefined;
}

/** What the composer has to know of a talk. */
interface Known {
  headId: string | null;
  running: { id: string; status: string } | null;
  queuedCount: number;
}

const unknown: Known = { headId: null, running: null, queuedCount: 0 };

export function Talk({ id, lead, suggestions, onHood }: TalkProps) {
  const texts = useTexts().talk;
  const [edit, setEdit] = useState<{ messageId: string; content: string } | null>(null);
  const [suggestion, setSuggestion] = useState<{ text: string } | null>(null);
  const [told, setTold] = useState({ of: id, known: unknown });
  const known = told.of === id ? told.known : unknown;
  const onKnown = useCallback((known: Known) => setTold({ of: id, known }), [id]);
  const toEnd = useRef<(() => void) | null>(null);
  const pending = usePending(id);
  const isStart = id === null && pending.length === 0;
  useEffect(() => (isStart ? undefined : fetchMarkdown()), [isStart]);
  const place = useMove(isStart);
  useEffect(() => setEdit(null), [id]);

  const sent = useRef(new Map<string, string>());
  for (const { key, content } of pending) sent.current.set(key, content);
  const onSent = useCallback(
    (stored: SentMessage) => {
      const content = sent.current.get(stored.clientKey);
      sent.current.delete(stored.clientKey);
      if (id === null) {
        if (content !== undefined) talkOf(stored.conversationId).begun(...begunWith(stored, content));
        go(pathOf(stored.conversationId), { replace: true });
      }
      toEnd.current?.();
    },
    [id],
  );

  return (
    <main className={isStart ? 'talk talk-start' : 'talk'}>
      {id === null ? (
        <Start
          lead={lead}
          isStart={isStart}
          pending={pending}
          suggestions={suggestions?.map((text) => inOurs(text, texts)) ?? texts.suggested}
          onChoose={(text) => setSuggestion({ text })}
        />
      ) : (
        <Opened
          key={id}
          id={id}
          lead={lead}
          onHood={onHood}
          pending={pending}
          toEnd={toEnd}
          onKnown={onKnown}
          onEdit={({ id: messageId, content }) => setEdit({ messageId, content })}
        />
      )}
      <div ref={place} className="talk-foot">
        <Composer
          id={id}
          {...known}
          edit={edit}
          onEditDone={() => setEdit(null)}
          onSent={onSent}
          suggestion={suggestion}
          onShowNew={() => toEnd.current?.()}
        />
      </div>
    </main>
  );
}

/** What is on its way in this talk and is shown at once. What is refused is shown by the composer. */
function usePending(id: string | null) {
  const all = useOutbox();
  return all.filter((entry) => entry.conversationId === id && isPending(entry));
}

/** Lets the composer glide to its place when the talk begins. */
function useMove(isStart: boolean) {
  const place = useRef<HTMLDivElement>(null);
  const before = useRef<{ isStart: boolean; top: number } | null>(null);
  useLayoutEffect(() => {
    const element = place.current!;
    const { top } = element.getBoundingClientRect();
    const was = before.current;
    before.current = { isStart, top };
    if (!was?.isStart || isStart || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    element.animate([{ transform: `translateY(${was.top - top}px)` }, { transform: 'none' }], {
      duration: 260,
      easing: getComputedStyle(element).getPropertyValue('--ease'),
    });
  });
  return place;
}

/** The server offers its own in English. The page says them in its language; an operator's stay as they are. */
function inOurs(text: string, texts: Texts['talk']): string {
  return texts.suggested[en.talk.suggested.indexOf(text)] ?? text;
}

interface StartProps {
  lead?: ReactNode;
  isStart: boolean;
  pending: { key: string; content: string }[];
  suggestions: readonly string[];
  onChoose: (text: string) => void;
}

function Start({ lead, isStart, pending, suggestions, onChoose }: StartProps) {
  const texts = useTexts().talk;
  return (
    <>
      <header className="talk-head talk-head-start">{lead}</header>
      {isStart ? (
        <div className="talk-welcome">
          <h1>{texts.startTitle}</h1>
          <ul aria-label={texts.suggestions}>
            {suggestions.slice(0, 6).map((text) => (
              <li key={text}>
                <button type="button" onClick={() => onChoose(text)}>
                  <bdi>{text}</bdi>
                </button>
              </li>
            ))}
          </ul>
        </div>
      ) : (
        <div className="talk-room">
          <div className="talk-scroll">
            <div className="talk-sheet">
              <p className="talk-edge" />
              {pending.map(({ key, content }) => (
                <div key={key} className="talk-row">
                  <Pending content={content} />
                </div>
              ))}
            </div>
          </div>
        </div>
      )}
    </>
  );
}

interface OpenedProps {
  id: string;
  lead?: ReactNode;
  onHood: (() => void) | undefined;
  pending: { key: string; content: string }[];
  toEnd: { current: (() => void) | null };
  onKnown: (known: Known) => void;
  onEdit: (message: TalkMessage) => void;
}

function Opened({ id, lead, onHood, pending, toEnd, onKnown, onEdit }: OpenedProps) {
  const texts = useTexts().talk;
  const state = useTalk(id);
  const showEnd = useCallback(() => toEnd.current?.(), [toEnd]);
  const actions = useActions(state.talk, showEnd);
  const [asked, setAsked] = useState<{ what: 'correct' | 'remove' | 'model'; message: TalkMessage } | null>(null);
  useSpeech(state.talk, state.running?.id ?? null);
  useTell(state, onKnown);
  const onCorrect = useCallback((message: TalkMessage) => setAsked({ what: 'correct', message }), []);
  const onRemove = useCallback((message: TalkMessage) => setAsked({ what: 'remove', message }), []);
  const onOtherModel = useCallback((message: TalkMessage) => setAsked({ what: 'model', message }), []);
  const close = () => setAsked(null);
  const { messages, queued, headId } = state;

  const handlers = useRef({ onEdit });
  handlers.current.onEdit = onEdit;
  const edit = useCallback((message: TalkMessage) => handlers.current.onEdit(message), []);
  if (state.gone) return <Gone isDeleted={state.gone === 'deleted'} lead={lead} />;
  const shown = new Set(messages.map(({ clientKey }) => clientKey));
  return (
    <>
      <Header state={state} actions={actions} lead={lead} onHood={onHood} />
      {state.line === null && <Loading hasFailed={state.hasFailed} />}
      {state.line !== null && (
        <List
          state={state}
          toEnd={toEnd}
          onTurn={(message, by) => void actions.turn(message, by)}
          row={(message) => (
            <Message
              message={message}
              place={queued.findIndex((reply) => reply.id === message.id) + 1}
              isHead={message.id === headId}
              actions={actions}
              onEdit={edit}
              onCorrect={onCorrect}
              onRemove={onRemove}
              onOtherModel={onOtherModel}
            />
          )}
          pending={pending
            .filter(({ key }) => !shown.has(key))
            .map(({ key, content }) => (
              <div key={key} className="talk-row">
                <Pending content={content} />
              </div>
            ))}
        />
      )}
      {asked?.what === 'correct' && (
        <Late onGone={close}>
          <Correct message={asked.message} actions={actions} onClose={close} />
        </Late>
      )}
      {asked?.what === 'model' && (
        <Late onGone={close}>
          <OtherModel message={asked.message} actions={actions} onClose={close} />
        </Late>
      )}
      <Sure
        open={asked?.what === 'remove'}
        title={texts.removeTitle}
        text={texts.removeMessage}
        onClose={close}
        onYes={() => {
          if (asked) void actions.remove(asked.message);
          close();
        }}
      />
    </>
  );
}

/** Tells the composer what there is. */
function useTell({ headId, running, queued }: TalkOfPage, onKnown: (known: Known) => void) {
  const count = queued.length;
  const runningId = running?.id ?? null;
  const status = running?.status ?? '';
  useEffect(() => {
    onKnown({ headId, running: runningId === null ? null : { id: runningId, status }, queuedCount: count });
  }, [headId, runningId, status, count, onKnown]);
}

function Loading({ hasFailed }: { hasFailed: boolean }) {
  const texts = useTexts().talk;
  return (
    <div className="talk-room">
      <div className="talk-sheet talk-loading" role="status" aria-label={hasFailed ? texts.failed : texts.loading}>
        {hasFailed ? <p>{texts.failed}</p> : [70, 92, 84, 40].map((width) => <span key={width} data-width={width} />)}
      </div>
    </div>
  );
}

function Gone({ isDeleted, lead }: { isDeleted: boolean; lead?: ReactNode }) {
  const texts = useTexts().talk;
  return (
    <>
      <header className="talk-head talk-head-start">{lead}</header>
      <div className="talk-gone">
        <h1>{isDeleted ? texts.goneTitle : texts.missingTitle}</h1>
        <p>{isDeleted ? texts.gone : texts.missing}</p>
        <Link to={pathOf(null)} className="ui-button ui-button-primary">
          {texts.fresh}
        </Link>
      </div>
    </>
  );
}
