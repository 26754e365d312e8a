// One message of the line: the question as a soft block, the reply as plain text, in each of their states.
import { memo, useEffect, useId, useMemo, useState } from 'react';
import type { ReactNode } from 'react';
import { useLiveText } from '../live/index.ts';
import { Markdown } from '../markdown/index.tsx';
import { useTexts } from '../texts/index.ts';
import type { Texts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import type { Actions } from './actions.ts';
import { Acts } from './Acts.tsx';
import { isFinal } from './list.ts';
import type { TalkMessage } from './list.ts';
import { useOnce } from './useOnce.ts';

export interface MessageProps {
  message: TalkMessage;
  /** Its place among those that wait, from 1; 0 when it does not wait. */
  place: number;
  isHead: boolean;
  actions: Actions;
  onEdit: (message: TalkMessage) => void;
  onCorrect: (message: TalkMessage) => void;
  onRemove: (message: TalkMessage) => void;
  onOtherModel: (message: TalkMessage) => void;
}

export const Message = memo(function Message(props: MessageProps) {
  if (props.message.role === 'USER') return <Question {...props} />;
  if (props.message.role === 'SYSTEM') return <Instructions message={props.message} />;
  return <Reply {...props} />;
});

function Instructions({ message }: { message: TalkMessage }) {
  const texts = useTexts().talk;
  return (
    <details className="talk-system">
      <summary className="ui-fold">
        <Icon name="right" size={16} />
        {texts.instructions}
      </summary>
      <p dir="auto">{message.content}</p>
    </details>
  );
}

function Question(props: MessageProps) {
  const { message } = props;
  const texts = useTexts().talk;
  const headingId = useId();
  const isCancelled = message.status === 'STOPPED';
  return (
    <article
      className={isCancelled ? 'talk-question talk-question-off' : 'talk-question'}
      aria-labelledby={headingId}
      data-message={message.id}
      data-status={message.status}
    >
      <h2 id={headingId} className="ui-hidden" tabIndex={-1}>
        {texts.you}
      </h2>
      <div className="talk-bubble" dir="auto">
        {message.content}
      </div>
      {isCancelled && <p className="talk-note">{texts.neverAsked}</p>}
      {!isCancelled && !message.sentToModel && isOld(message) && <p className="talk-note">{texts.notSent}</p>}
      <Acts {...props} />
    </article>
  );
}

/** A question that has just been sent has not been to the model yet; that is nothing to tell. */
function isOld({ createdAt }: TalkMessage): boolean {
  return Date.now() - Date.parse(createdAt) > 60_000;
}

/** A question that is on its way. */
export function Pending({ content }: { content: string }) {
  const texts = useTexts().talk;
  return (
    <article className="talk-question talk-question-pending" aria-label={texts.sending} data-status="SENDING">
      <div className="talk-bubble" dir="auto">
        {content}
      </div>
      <p className="talk-note app-late">{texts.sending}</p>
    </article>
  );
}

function Reply(props: MessageProps) {
  const { message, place } = props;
  const texts = useTexts().talk;
  const headingId = useId();
  const isRunning = message.status === 'STREAMING';
  const grown = useLiveText(isRunning ? message.id : null);
  const { content, reasoning, attempt } = isRunning && grown && grown.attempt >= message.attempt ? grown : message;
  const isThinking = isRunning && content === '';
  // Those that the model server gave no place for stand in the list of sources only.
  const citations = useMemo(
    () =>
      message.citations.flatMap(({ url, title, end }) =>
        end === null ? [] : [{ url, title: title ?? url, place: end }],
      ),
    [message.citations],
  );
  return (
    <article
      className="talk-reply"
      aria-labelledby={headingId}
      aria-busy={isRunning}
      data-message={message.id}
      data-status={message.status}
    >
      <h2 id={headingId} className="ui-hidden" tabIndex={-1}>
        {texts.reply(message.model ?? '')}
      </h2>
      {message.continues && (
        <p className="talk-aside">
          <Icon name="fork" size={16} />
          {texts.fromBranch}
        </p>
      )}
      {message.status === 'QUEUED' && (
        <p className="talk-wait" role="note">
          <Icon name="queue" size={16} />
          {texts.queued(place)}
        </p>
      )}
      {(reasoning !== '' || isThinking) && <Thoughts message={message} text={reasoning} isThinking={isThinking} />}
      {content !== '' && (
        <div className="talk-prose">
          <Markdown text={content} growing={isRunning} citations={citations} />
        </div>
      )}
      {isRunning && attempt > 1 && <p className="talk-aside talk-elsewhere">{texts.elsewhere}</p>}
      {isFinal(message) && <End {...props} />}
      {isFinal(message) && <Acts {...props} />}
    </article>
  );
}

/** Shows that the model works, and what it thinks to who wants to read it. */
function Thoughts({ message, text, isThinking }: { message: TalkMessage; text: string; isThinking: boolean }) {
  const texts = useTexts().talk;
  const seconds = useSeconds(isThinking, message.createdAt);
  if (text === '') {
    return (
      <p className="talk-think talk-alive">
        <Beat />
        {seconds < 1 ? texts.waiting : `${texts.waiting}, ${secondsText(seconds)}`}
      </p>
    );
  }
  const took = message.reasoningMs === null ? null : Math.max(1, Math.round(message.reasoningMs / 1000));
  const label = isThinking
    ? texts.thinking(secondsText(seconds))
    : took === null
      ? texts.thoughts
      : texts.thought(secondsText(took));
  return (
    <details className={isThinking ? 'talk-thoughts talk-alive' : 'talk-thoughts'}>
      <summary className="ui-fold">
        {isThinking ? <Beat /> : <Icon name="right" size={16} />}
        {label}
      </summary>
      <div className="talk-thoughts-text" dir="auto">
        {text}
      </div>
    </details>
  );
}

/** The sign of something that is under way: a dot that breathes. */
function Beat() {
  return <span className="talk-beat" aria-hidden="true" />;
}

function secondsText(seconds: number): string {
  const language = document.documentElement.lang || 'en';
  return new Intl.NumberFormat(language, { style: 'unit', unit: 'second', unitDisplay: 'narrow' }).format(seconds);
}

function useSeconds(isOn: boolean, since: string): number {
  // The clock of the server may differ: no longer than this page has seen it, unless it was there before.
  const [start] = useState(() => Math.min(Date.now(), Date.parse(since) || Date.now()));
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isOn) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isOn]);
  return Math.max(0, Math.round((now - start) / 1000));
}

/** What is to be said of how a reply ended, with what helps. */
function End({ message, isHead, actions, onOtherModel }: MessageProps) {
  const texts = useTexts().talk;
  const end = endOf(message, texts);
  const again = <Way key="again" label={texts.again} run={() => actions.again(message)} />;
  const goOn = isHead && message.content !== '' && (
    <Way key="on" label={texts.goOn} run={() => actions.goOn(message)} />
  );
  const other = (
    <button key="other" type="button" className="talk-way" onClick={() => onOtherModel(message)}>
      {texts.otherModel}
    </button>
  );
  const ways: Record<string, ReactNode[]> = {
    length: [goOn],
    stopped: [goOn, again],
    failed: [goOn, again, other],
    interrupted: [goOn, again],
  };
  return (
    <>
      {message.omittedOutput.map((kind) => (
        <p key={kind} className="talk-note">
          {texts.omitted[kind] ?? texts.omitted.other}
        </p>
      ))}
      {message.droppedParameters.length > 0 && (
        <p className="talk-note">{texts.dropped(message.droppedParameters.join(', '))}</p>
      )}
      {message.context?.cutByServer && <p className="talk-note talk-warn">{texts.cutByServer}</p>}
      {message.citations.length > 0 && <Sources message={message} />}
      {end && (
        <div className={`talk-end talk-end-${end.kind}`}>
          <p>{end.text}</p>
          {(ways[end.kind]?.some(Boolean) ?? false) && <div className="talk-ways">{ways[end.kind]}</div>}
        </div>
      )}
    </>
  );
}

function endOf(
  { status, finishReason, error }: TalkMessage,
  texts: Texts['talk'],
): { kind: string; text: string } | null {
  if (status === 'FAILED')
    return { kind: 'failed', text: texts.errors[error?.code ?? ''] ?? error?.message ?? texts.failedReply };
  if (status === 'INTERRUPTED') return { kind: 'interrupted', text: texts.interrupted };
  if (status === 'STOPPED')
    return error?.code === 'DELETED'
      ? { kind: 'deleted', text: texts.deletedElsewhere }
      : { kind: 'stopped', text: texts.stopped };
  if (finishReason === 'LENGTH') return { kind: 'length', text: texts.cutByLength };
  if (finishReason === 'CONTENT_FILTER') return { kind: 'filter', text: texts.cutByFilter };
  return null;
}

/** One way on. */
function Way({ label, run }: { label: string; run: () => Promise<boolean> }) {
  const [isBusy, press] = useOnce(run);
  return (
    <button type="button" className="talk-way" aria-busy={isBusy || undefined} onClick={press}>
      {label}
    </button>
  );
}

function Sources({ message }: { message: TalkMessage }) {
  const texts = useTexts().talk;
  return (
    <section className="talk-sources" aria-label={texts.sources}>
      <h3>{texts.sources}</h3>
      <ol>
        {message.citations.map(({ url, title }, i) => (
          <li key={i}>
            {/^https?:\/\//i.test(url) ? (
              <a href={url} target="_blank" rel="noopener noreferrer nofollow" title={url}>
                {title || hostOf(url)}
              </a>
            ) : (
              <span>{title || url}</span>
            )}
            <span className="talk-host">{hostOf(url)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname;
  } catch {
    return '';
  }
}
