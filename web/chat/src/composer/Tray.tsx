// What stands above the box: sends that are not stored yet, with what is known of them and what can be done, and the
// messages that wait for their turn.
import { useEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { useMutation, useQuery } from 'urql';
import { announce } from '../app/announce.ts';
import { QueuedOfDocument, StopReplyDocument } from '../api/generated/documents.ts';
import { compact, ModelPicker } from '../settings/ModelPicker.tsx';
import { useTexts } from '../texts/index.ts';
import type { Texts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import { outbox } from './box.ts';
import { isPending } from './sends.ts';
import type { Outgoing, SendState } from './sends.ts';
import { learn, sizeOf } from './size.ts';

export interface TrayProps {
  id: string | null;
  headId: string | null;
  running: { id: string } | null;
  queuedCount: number;
  entries: readonly Outgoing[];
  notes: readonly ({ text: string; onClose?: () => void } | null)[];
  onTakeBack: (entry: Outgoing) => void;
  onShowNew?: (() => void) | undefined;
  onSettings: () => void;
  onModel: (model: string | null) => void;
}

export function Tray(props: TrayProps) {
  const { id, headId, running, queuedCount, entries } = props;
  const now = useNow(entries.some(({ state }) => 'retryAt' in state));
  useTurn(entries, running, headId);
  useLimit(entries);
  return (
    <div className="comp-tray">
      {id !== null && queuedCount > 0 && <Queue id={id} count={queuedCount} />}
      {entries.map((entry) => (
        <Row key={entry.key} entry={entry} now={now} {...props} />
      ))}
      {props.notes.map(
        (note) =>
          note && (
            <div key={note.text} className="comp-row" role="status">
              <span className="comp-row-state">{note.text}</span>
              {note.onClose && <CloseButton onClick={note.onClose} />}
            </div>
          ),
      )}
    </div>
  );
}

function CloseButton({ onClick }: { onClick: () => void }) {
  const texts = useTexts().settings;
  return (
    <button
      type="button"
      className="comp-quiet comp-small"
      aria-label={texts.cancel}
      title={texts.cancel}
      onClick={onClick}
    >
      <Icon name="close" />
    </button>
  );
}

/** Before this an answer is usual, and nothing has to be said. */
const patienceMs = 700;

function Row(props: TrayProps & { entry: Outgoing; now: number }) {
  const { entry, now } = props;
  const texts = useTexts();
  const isLate = useLate(entry.state);
  const text = said(entry, props, texts.composer, now);
  // Readers hear of a state once, and not of each second.
  const { name } = entry.state;
  const isShown = name !== 'sending' || isLate;
  const latest = useRef(text);
  latest.current = text;
  useEffect(() => {
    if (isShown) announce(`${texts.composer.notSent}. ${latest.current}`);
  }, [isShown, name, texts]);
  // A question that is on its way says so itself, where it will stand.
  if (!isShown || isPending(entry)) return null;
  return (
    <div className={`comp-row comp-row-${entry.state.name}`}>
      <p className="comp-row-text" dir="auto" title={entry.content.slice(0, 400)}>
        {entry.content.slice(0, 400)}
      </p>
      <p className="comp-row-state">{text}</p>
      <div className="comp-row-acts">
        <Acts {...props} />
      </div>
    </div>
  );
}

function said({ state }: Outgoing, { running }: TrayProps, texts: Texts['composer'], now: number): string {
  switch (state.name) {
    case 'sending':
      return texts.sending;
    case 'unknown':
      return texts.unknown;
    case 'waiting':
      return texts.waiting(Math.max(0, Math.ceil((state.retryAt - now) / 1000)));
    case 'busy':
      return running ? texts.busy : texts.busyBefore;
    case 'quota': {
      const used = texts.quota[state.quota as keyof typeof texts.quota] ?? texts.quota.other;
      return state.until === null ? used : `${used} ${texts.until(moment(state.until, now))}`;
    }
    case 'long':
      return texts.tooLong(sizeOf(state.have), sizeOf(state.most));
    case 'context':
      return texts.context(state.have ? compact(state.have) : '', state.most ? compact(state.most) : '');
    case 'model':
      return texts.model(state.model);
    case 'refused':
      return texts.failed(state.message);
    default:
      return texts[state.name];
  }
}

/** A time of today as such, and any other with its day. */
function moment(at: number, now: number): string {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  const format = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
    timeStyle: 'short',
    ...(isToday ? {} : { dateStyle: 'medium' }),
  });
  return format.format(at);
}

function Acts(props: TrayProps & { entry: Outgoing }) {
  const { entry, headId, running, onTakeBack, onShowNew, onSettings, onModel } = props;
  const texts = useTexts().composer;
  const { key, state } = entry;
  const again = (more: { onBusy?: 'QUEUE' | 'INTERRUPT' | 'REJECT'; head?: string | null } = {}) =>
    outbox.decide(key, { name: 'again', head: headId ?? entry.head, ...more });
  const act = (name: string, run: () => void) => <Act name={name} run={run} />;
  const takeBack = act(texts.takeBack, () => onTakeBack(entry));
  const acts: Partial<Record<SendState['name'], ReactNode>> = {
    unknown: act(texts.tryNow, () => outbox.decide(key, { name: 'again' })),
    waiting: [act(texts.tryNow, () => outbox.decide(key, { name: 'again' })), takeBack],
    turn: [entry.kind === 'send' && act(texts.queue, () => again({ onBusy: 'QUEUE' })), takeBack],
    busy: running
      ? [
          entry.kind === 'send' && act(texts.queue, () => again({ onBusy: 'QUEUE' })),
          act(texts.interrupt, () => again({ onBusy: 'INTERRUPT' })),
          act(texts.wait, () => outbox.decide(key, { name: 'wait' })),
          takeBack,
        ]
      : [act(texts.again, () => again()), takeBack],
    stale: [
      onShowNew && act(texts.showNew, onShowNew),
      act(texts.sendAnyway, () => again({ head: state.name === 'stale' ? state.headId : headId })),
      takeBack,
    ],
    quota: [act(texts.again, () => again()), takeBack],
    long: takeBack,
    context: [act(texts.settings, onSettings), act(texts.again, () => again()), takeBack],
    model: [
      <ModelPicker value={null} onChange={(model) => chooseModel(entry, model, onModel)} />,
      act(texts.again, () => again()),
      takeBack,
    ],
    full: [act(texts.again, () => again({ onBusy: 'QUEUE' })), takeBack],
    gone: takeBack,
    refused: [act(texts.again, () => again()), takeBack],
  };
  const shown = acts[state.name];
  return Array.isArray(shown) ? shown.map((one, i) => <span key={i}>{one as ReactNode}</span>) : shown;
}

/** Another model for the talk, and with it for what waits. */
function chooseModel(entry: Outgoing, model: string | null, onModel: (model: string | null) => void) {
  onModel(model);
  outbox.decide(entry.key, { name: 'again', model });
}

function Act({ name, run }: { name: string; run: () => void }) {
  return (
    <button type="button" className="comp-link" onClick={run}>
      {name}
    </button>
  );
}

function Queue({ id, count }: { id: string; count: number }) {
  const texts = useTexts().composer;
  const [{ data }, ask] = useQuery({ query: QueuedOfDocument, variables: { id } });
  const [, stop] = useMutation(StopReplyDocument);
  useEffect(() => ask({ requestPolicy: 'network-only' }), [ask, count]);
  const replies = data?.conversation?.queuedReplies ?? [];
  return (
    <details className="comp-queue">
      <summary>
        <Icon name="queue" />
        {texts.queued(count)}
        <Icon name="down" />
      </summary>
      <ol>
        {replies.map((reply) => (
          <li key={reply.id}>
            <span className="comp-row-text" dir="auto">
              {reply.parent?.content.slice(0, 400)}
            </span>
            <button
              type="button"
              className="comp-quiet comp-small"
              aria-label={texts.cancelQueued}
              title={texts.cancelQueued}
              onClick={() => void stop({ input: { messageId: reply.id } })}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ol>
    </details>
  );
}

/** Sends what waits for its turn when the reply has ended. */
function useTurn(entries: readonly Outgoing[], running: { id: string } | null, headId: string | null) {
  useEffect(() => {
    // Without a head the talk is not known yet: its reply may be running.
    if (running || headId === null) return;
    for (const { key, state } of entries) {
      if (state.name === 'turn') outbox.decide(key, { name: 'again', head: headId });
    }
  }, [entries, running, headId]);
}

function useLimit(entries: readonly Outgoing[]) {
  useEffect(() => {
    for (const { state } of entries) if (state.name === 'long') learn(state.most);
  }, [entries]);
}

function useLate(state: SendState): boolean {
  const [late, setLate] = useState<SendState | null>(null);
  useEffect(() => {
    if (state.name !== 'sending') return;
    const timer = setTimeout(() => setLate(state), patienceMs);
    return () => clearTimeout(timer);
  }, [state]);
  return late === state || (state.name === 'sending' && state.tries > 0);
}

/** The time, every half second while somebody waits for it. */
function useNow(isNeeded: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isNeeded) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [isNeeded]);
  return now;
}
