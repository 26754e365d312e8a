// The quiet row below a message: versions, and what can be done. It is always there for keys and fingers, and comes
// forward where a pointer rests.
import { useId, useLayoutEffect, useRef, useState } from 'react';
import { useTexts } from '../texts/index.ts';
import type { Texts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import { IconButton } from '../ui/IconButton.tsx';
import { Menu } from '../ui/Menu.tsx';
import type { MenuItem } from '../ui/Menu.tsx';
import { toast } from '../ui/toast.tsx';
import type { TalkMessage } from './list.ts';
import type { MessageProps } from './Message.tsx';
import { useOnce } from './useOnce.ts';

export function Acts(props: MessageProps) {
  const { message, actions } = props;
  const texts = useTexts().talk;
  const isReply = message.role === 'ASSISTANT';
  const items = itemsOf(props, texts);
  return (
    <div className="talk-acts">
      {message.siblingCount > 1 && <Versions {...props} />}
      {message.content !== '' && <Copy text={message.content} />}
      {isReply && <Busy icon="refresh" label={texts.again} run={() => actions.again(message)} />}
      {!isReply && <IconButton icon="pencil" label={texts.edit} onClick={() => props.onEdit(message)} />}
      {isReply && <Details message={message} />}
      <Menu label={texts.more} items={items} />
      {message.editedAt !== null && <span className="talk-edited">{texts.edited}</span>}
    </div>
  );
}

function itemsOf(
  { message, actions, onCorrect, onRemove, onOtherModel }: MessageProps,
  texts: Texts['talk'],
): MenuItem[] {
  const isReply = message.role === 'ASSISTANT';
  const isCancelled = message.status === 'STOPPED' && message.content === '';
  return [
    ...(isReply
      ? [{ label: texts.otherModel, icon: 'spark' as const, onSelect: () => onOtherModel(message) }]
      : [{ label: texts.again, icon: 'refresh' as const, onSelect: () => void actions.again(message) }]),
    { label: texts.correct, icon: 'pencil', disabled: isCancelled, onSelect: () => onCorrect(message) },
    { label: texts.forkHere, icon: 'fork', onSelect: () => void actions.fork(message) },
    { label: texts.remove, icon: 'trash', danger: true, onSelect: () => onRemove(message) },
  ];
}

function Busy({
  icon,
  label,
  run,
}: {
  icon: 'refresh' | 'left' | 'right';
  label: string;
  run: () => Promise<boolean>;
}) {
  const [isBusy, press] = useOnce(run);
  return <IconButton icon={icon} label={label} aria-busy={isBusy || undefined} onClick={press} />;
}

/** The way in which somebody turns to another version, until that one is shown: its buttons take the focus. */
let turning: -1 | 0 | 1 = 0;

/** ‹ 2/3 ›, by pointer and by Alt and the arrows wherever the focus is in the message. */
function Versions({ message, actions }: MessageProps) {
  const texts = useTexts().talk;
  const { siblingPosition: at, siblingCount: of } = message;
  const group = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (turning === 0) return;
    const buttons = [...group.current!.querySelectorAll('button')];
    if (turning === 1) buttons.reverse();
    turning = 0;
    focusOnceSeen(buttons.find(({ disabled }) => !disabled));
  }, []);
  const turn = (by: -1 | 1) => {
    turning = by;
    void actions.turn(message, by).then((isDone) => isDone || (turning = 0));
  };
  return (
    <div ref={group} className="talk-versions" role="group" aria-label={texts.versions}>
      <IconButton icon="left" label={texts.earlier} disabled={at <= 1} onClick={() => turn(-1)} />
      <span>{texts.version(at, of)}</span>
      <IconButton icon="right" label={texts.later} disabled={at >= of} onClick={() => turn(1)} />
    </div>
  );
}

/** A row that has just come is not seen before it has been measured, and takes no focus until then. */
function focusOnceSeen(button: HTMLElement | undefined, frames = 30) {
  button?.focus();
  if (button?.isConnected && document.activeElement !== button && frames > 0)
    requestAnimationFrame(() => focusOnceSeen(button, frames - 1));
}

function Copy({ text }: { text: string }) {
  const texts = useTexts().talk;
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 1600);
    } catch {
      toast(texts.notCopied);
    }
  };
  return (
    <IconButton
      icon={isCopied ? 'check' : 'copy'}
      label={isCopied ? texts.copied : texts.copy}
      onClick={() => void copy()}
    />
  );
}

/** By which model, how long, how much, and what the model did not see. */
function Details({ message }: { message: TalkMessage }) {
  const texts = useTexts().talk;
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const place = () => {
    if (!button.current || !panel.current) return;
    const { left, bottom, top } = button.current.getBoundingClientRect();
    const { style, offsetHeight, offsetWidth } = panel.current;
    style.left = `${Math.max(8, Math.min(left, innerWidth - offsetWidth - 8))}px`;
    style.top = `${bottom + offsetHeight + 8 > innerHeight ? Math.max(8, top - offsetHeight - 4) : bottom + 4}px`;
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className="talk-model"
        popoverTarget={id}
        aria-label={`${texts.details}: ${message.model ?? ''}`}
        title={texts.details}
      >
        {message.model || <Icon name="info" size={16} />}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        className="ui-pop talk-details"
        aria-label={texts.details}
        onToggle={(event) => event.newState === 'open' && place()}
      >
        <dl>
          {rowsOf(message, texts).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {(message.context?.droppedCount ?? 0) > 0 && (
          <p>
            {texts.unseen(message.context!.droppedCount)} {message.context!.summary && texts.summarized}
          </p>
        )}
      </div>
    </>
  );
}

function rowsOf(message: TalkMessage, texts: Texts['talk']): [string, string][] {
  const language = document.documentElement.lang || 'en';
  const number = new Intl.NumberFormat(language);
  const seconds = (ms: number) =>
    new Intl.NumberFormat(language, { style: 'unit', unit: 'second', maximumFractionDigits: 1 }).format(ms / 1000);
  const { usage, finishedAt, createdAt, firstTokenMs, context } = message;
  const estimated = usage?.estimated ? ` (${texts.estimated})` : '';
  const rows: [string, string | null][] = [
    [texts.model, message.model],
    [texts.first, firstTokenMs === null ? null : seconds(firstTokenMs)],
    [texts.duration, finishedAt === null ? null : seconds(Date.parse(finishedAt) - Date.parse(createdAt))],
    [texts.tokensIn, usage && number.format(usage.promptTokens) + estimated],
    [texts.tokensCached, usage?.cachedTokens ? number.format(usage.cachedTokens) : null],
    [texts.tokensOut, usage && number.format(usage.completionTokens) + estimated],
    [texts.tokensThought, usage?.reasoningTokens ? number.format(usage.reasoningTokens) : null],
    [texts.context, context && context.droppedCount === 0 ? texts.all : null],
    [texts.attempt, message.attempt > 1 ? number.format(message.attempt) : null],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}
