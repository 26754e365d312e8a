// Where a message is written: one sheet with the text, and below it what the message is sent with. It never moves by
// itself; what has to be said about a send stands above it.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { ClipboardEvent, DragEvent, KeyboardEvent, RefObject } from 'react';
import { useClient, useMutation } from 'urql';
import { announce } from '../app/announce.ts';
import { useKey } from '../app/keys.ts';
import { go, pathOf } from '../app/route.ts';
import { CorrectQuestionDocument, LastQuestionDocument, StopReplyDocument } from '../api/generated/documents.ts';
import { ContextGauge } from '../settings/ContextGauge.tsx';
import { ConversationSettings } from '../settings/Late.tsx';
import { ModelPicker } from '../settings/ModelPicker.tsx';
import { useTalkModel } from '../settings/talkModel.ts';
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import { toast } from '../ui/toast.tsx';
import { Banner } from './Banner.tsx';
import { outbox, useOutbox, useSender } from './box.ts';
import { SendButtons } from './SendButtons.tsx';
import { bytesOf } from './sends.ts';
import type { OnBusy, Outgoing } from './sends.ts';
import { limit, sizeOf } from './size.ts';
import { Tray } from './Tray.tsx';
import { useBox } from './useBox.ts';
import type { Edit } from './useBox.ts';
import './composer.css';

/** What a send has become when the server has stored it. */
export interface SentMessage {
  clientKey: string;
  conversationId: string;
  userMessageId: string;
  replyId: string;
}

export interface ComposerProps {
  /** Null: the first message makes the talk. */
  id: string | null;
  /** The last message that is shown. */
  headId: string | null;
  running: { id: string; status: string } | null;
  queuedCount: number;
  onSent: (sent: SentMessage) => void;
  /** A question to ask again; null when a new one is written. */
  edit: Edit | null;
  onEditDone: () => void;
  /** Shows the end of the talk. */
  onShowNew?: () => void;
  /** A text to begin with, such as a suggestion; each new object is put into the box. */
  suggestion?: { text: string } | null;
}

export function Composer(props: ComposerProps) {
  const { id, headId, running, onSent } = props;
  const texts = useTexts().composer;
  const user = useSender();
  const { edit, beginEdit, endEdit } = useEdit(props);
  const [isCorrection, setCorrection] = useState(false);
  const box = useBox(user, id, edit);
  const area = useRef<HTMLTextAreaElement>(null);
  const [areSettingsOpen, setSettingsOpen] = useState(false);
  const openSettings = useCallback(() => setSettingsOpen(true), []);
  const [areFilesRefused, setFilesRefused] = useState(false);
  const talk = useTalkModel(id);
  const mine = useMine(id, onSent);
  const stop = useStop(running?.id ?? null);
  const [correction, correct] = useMutation(CorrectQuestionDocument);
  useGrowth(area, box.text);
  useKey('Escape', () => (running ? stop.run() : false), texts.stop);
  useSuggestion(props.suggestion ?? null, box.setText, area);
  useEffect(() => setCorrection(false), [edit?.messageId]);
  useEffect(() => {
    if (edit) area.current?.focus();
  }, [edit?.messageId]);

  // A talk that does not exist yet takes one message: the next would begin another.
  const isWaiting = id === null && mine.entries.length > 0;
  const have = bytesOf(box.text);
  const canSend = box.text.trim() !== '' && !isWaiting && user !== null && have <= limit.known;

  /** An Enter that came before it was known who is signed in; it counts as soon as it is. */
  const early = useRef<OnBusy | null>(null);
  const submit = (onBusy: OnBusy) => {
    if (user === null) early.current = onBusy;
    if (!canSend || user === null) return;
    setFilesRefused(false);
    if (edit && isCorrection) {
      void correct({ input: { messageId: edit.messageId, content: box.text } }).then(
        ({ error }) => !error && endEdit(),
      );
      return;
    }
    const entry = entryOf(user, props, edit, box.text, onBusy);
    if (id === null) entry.choices = talk.choices;
    mine.add(entry.key);
    outbox.send(entry, box.forgetDraft);
    box.clear();
    if (edit) endEdit();
  };

  useEffect(() => {
    const onBusy = early.current;
    early.current = null;
    if (onBusy !== null) submit(onBusy);
    // Once, with what stands in the box then.
  }, [user]);

  const takeBack = (entry: Outgoing) => {
    if (!outbox.take(entry.key)) return;
    if (entry.kind === 'edit' && entry.messageId) beginEdit({ messageId: entry.messageId, content: entry.content });
    else box.setText(box.text.trim() ? `${entry.content}\n\n${box.text}` : entry.content);
    area.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // A key that belongs to an input method; Safari says so by 229 alone.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      submit(running ? (edit ? 'INTERRUPT' : 'QUEUE') : 'REJECT');
    } else if (event.key === 'Escape') {
      if (running) stop.run();
      else if (edit) endEdit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === 'ArrowUp' && box.text === '' && id !== null && !edit) {
      event.preventDefault();
      void beginEdit('last');
    }
  };

  const refuseFiles = (event: ClipboardEvent | DragEvent, data: DataTransfer | null) => {
    if (!data || data.files.length === 0) return;
    event.preventDefault();
    setFilesRefused(true);
    announce(texts.noFiles);
  };

  return (
    <section
      className="comp"
      aria-label={texts.label}
      onDragOver={(event) => event.dataTransfer.types.includes('Files') && event.preventDefault()}
      onDrop={(event) => refuseFiles(event, event.dataTransfer)}
    >
      <Tray
        id={id}
        headId={headId}
        running={running}
        queuedCount={props.queuedCount}
        entries={mine.entries}
        onTakeBack={takeBack}
        onShowNew={props.onShowNew}
        onSettings={openSettings}
        onModel={talk.setModel}
        notes={[
          areFilesRefused ? { text: texts.noFiles, onClose: () => setFilesRefused(false) } : null,
          stop.failed ? { text: texts.stopFailed } : null,
          correction.error ? { text: texts.correctFailed(correction.error.graphQLErrors[0]?.message ?? '') } : null,
        ]}
      />
      <div className="comp-sheet" onClick={(event) => event.target === event.currentTarget && area.current?.focus()}>
        {edit && <Banner isCorrection={isCorrection} onChange={setCorrection} onCancel={endEdit} />}
        <textarea
          ref={area}
          className="comp-text"
          rows={1}
          dir={box.text ? 'auto' : undefined}
          enterKeyHint="send"
          aria-label={texts.label}
          placeholder={id === null ? texts.placeholder : texts.placeholderTalk}
          value={box.text}
          onChange={(event) => box.setText(event.target.value)}
          onKeyDown={onKeyDown}
          onPaste={(event) => refuseFiles(event, event.clipboardData)}
        />
        <div className="comp-bar">
          <ModelPicker value={talk.model} onChange={talk.setModel} />
          <button
            type="button"
            className="comp-quiet"
            aria-label={texts.settings}
            title={texts.settings}
            onClick={openSettings}
          >
            <Icon name="sliders" />
          </button>
          {id !== null && <ContextGauge id={id} version={`${headId} ${running?.id}`} onSettings={openSettings} />}
          <span className="comp-space" />
          {have > limit.quiet && (
            <span className={have > limit.known ? 'comp-size comp-size-over' : 'comp-size'} role="status">
              {limit.known < Infinity ? texts.size(sizeOf(have), sizeOf(limit.known)) : sizeOf(have)}
            </span>
          )}
          <SendButtons
            canSend={canSend}
            isRunning={running !== null}
            isStopping={stop.isRunning}
            isEdit={edit !== null}
            isCorrection={isCorrection}
            onSend={submit}
            onStop={stop.run}
          />
        </div>
      </div>
      <ConversationSettings
        id={id}
        open={areSettingsOpen}
        onClose={() => setSettingsOpen(false)}
        choices={talk.choices}
        onChoose={talk.choose}
      />
    </section>
  );
}

function entryOf(
  user: string,
  { id, headId }: ComposerProps,
  edit: Edit | null,
  content: string,
  onBusy: OnBusy,
): Outgoing {
  return {
    key: randomKey(),
    user,
    at: Date.now(),
    kind: edit ? 'edit' : 'send',
    conversationId: id,
    messageId: edit?.messageId ?? null,
    content,
    head: headId,
    onBusy,
    choices: null,
    state: { name: 'sending', tries: 0 },
  };
}

/** crypto.randomUUID is for pages with https alone. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The question that is asked again: one that the talk names, or the last, which ↑ fetches. */
function useEdit({ id, edit, onEditDone }: ComposerProps) {
  const client = useClient();
  const [own, setOwn] = useState<Edit | null>(null);
  useEffect(() => setOwn(null), [id]);
  const beginEdit = async (what: Edit | 'last') => {
    if (what !== 'last') return setOwn(what);
    if (id === null) return;
    const { data } = await client.query(LastQuestionDocument, { id }, { requestPolicy: 'network-only' });
    const last = data?.conversation?.messages.nodes.findLast(
      ({ role, status }) => role === 'USER' && status === 'COMPLETED',
    );
    if (last) setOwn({ messageId: last.id, content: last.content });
  };
  const endEdit = () => {
    setOwn(null);
    if (edit) onEditDone();
  };
  return { edit: edit ?? own, beginEdit, endEdit };
}

/** The sends that belong to this box. One that has just made its talk belongs to the box without a talk still. */
function useMine(id: string | null, onSent: (sent: SentMessage) => void) {
  const all = useOutbox();
  const [keys] = useState(() => new Set<string>());
  const texts = useTexts().composer;
  const told = useRef(onSent);
  told.current = onSent;
  const words = useRef(texts);
  words.current = texts;
  useEffect(() => {
    keys.clear();
    return outbox.onStored(({ entry, answer, recovered }) => {
      const { conversationId, messageId, headId } = answer;
      if (entry.conversationId !== id && !keys.has(entry.key)) {
        const open = { label: words.current.open, run: () => go(pathOf(conversationId)) };
        if (recovered) toast(words.current.recovered, { action: open });
        return;
      }
      told.current({ clientKey: entry.key, conversationId, userMessageId: messageId, replyId: headId });
    });
  }, [id, keys]);
  return {
    entries: all.filter((entry) => entry.conversationId === id || keys.has(entry.key)),
    add: (key: string) => void keys.add(key),
  };
}

function useStop(messageId: string | null) {
  const [{ fetching, error }, stopReply] = useMutation(StopReplyDocument);
  return {
    isRunning: fetching,
    failed: error !== undefined && messageId !== null,
    run: () => {
      if (messageId && !fetching) void stopReply({ input: { messageId } });
    },
  };
}

/** Grows with its text where the browser does not do that by itself. */
function useGrowth(area: RefObject<HTMLTextAreaElement | null>, text: string) {
  useLayoutEffect(() => {
    if (CSS.supports('field-sizing', 'content') || !area.current) return;
    area.current.style.height = 'auto';
    area.current.style.height = `${area.current.scrollHeight}px`;
  }, [area, text]);
}

function useSuggestion(
  suggestion: { text: string } | null,
  setText: (text: string) => void,
  area: RefObject<HTMLTextAreaElement | null>,
) {
  const set = useRef(setText);
  set.current = setText;
  useEffect(() => {
    if (!suggestion) return;
    set.current(suggestion.text);
    area.current?.focus();
  }, [suggestion, area]);
}
