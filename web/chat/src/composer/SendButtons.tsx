// Send, or stop: one place for both. With a text typed while a reply is written, both are there, and the way is chosen
// in a small menu.
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import { Pop } from '../ui/Pop.tsx';
import type { OnBusy } from './sends.ts';
import { useState } from 'react';
import type { KeyboardEvent } from 'react';

interface SendButtonsProps {
  canSend: boolean;
  isRunning: boolean;
  isStopping: boolean;
  isEdit: boolean;
  isCorrection: boolean;
  onSend: (onBusy: OnBusy) => void;
  onStop: () => void;
}

export function SendButtons(props: SendButtonsProps) {
  const { canSend, isRunning, isStopping, isEdit, isCorrection, onSend, onStop } = props;
  const texts = useTexts().composer;
  // A version cannot wait for what it replaces, so an edit interrupts.
  const way: OnBusy = !isRunning ? 'REJECT' : isEdit ? 'INTERRUPT' : 'QUEUE';
  const names = { REJECT: texts.send, QUEUE: texts.sendQueued, INTERRUPT: texts.sendInterrupting };
  const name = isCorrection ? texts.correct : names[way];
  const showsStop = isRunning;
  const showsSend = !isRunning || canSend;
  return (
    <>
      {showsSend && isRunning && !isEdit && <Ways onSend={onSend} />}
      {showsStop && (
        <button
          type="button"
          className={showsSend ? 'comp-quiet' : 'comp-send comp-stop'}
          aria-label={texts.stop}
          title={texts.stop}
          aria-disabled={isStopping}
          onClick={onStop}
        >
          <Icon name="stop" />
        </button>
      )}
      {showsSend && (
        <button
          type="button"
          className="comp-send"
          aria-label={name}
          title={name}
          aria-disabled={!canSend}
          onClick={() => onSend(way)}
        >
          <Icon name={isCorrection ? 'check' : 'send'} />
        </button>
      )}
    </>
  );
}

function Ways({ onSend }: { onSend: (onBusy: OnBusy) => void }) {
  const texts = useTexts().composer;
  const [at, setAt] = useState(0);
  const ways = [
    { onBusy: 'QUEUE', name: texts.queue, hint: texts.queueHint },
    { onBusy: 'INTERRUPT', name: texts.interrupt, hint: texts.interruptHint },
  ] as const;
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    event.preventDefault();
    const next = 1 - at;
    setAt(next);
    event.currentTarget.querySelectorAll('button')[next]?.focus();
  };
  return (
    <Pop label={texts.whileRunning} className="comp-quiet comp-ways" kind="menu" button={<Icon name="down" />}>
      {(close) => (
        <div role="menu" aria-label={texts.whileRunning} onKeyDown={onKeyDown}>
          {ways.map(({ onBusy, name, hint }, i) => (
            <button
              key={onBusy}
              type="button"
              role="menuitem"
              tabIndex={i === at ? 0 : -1}
              className="ui-item"
              {...(i === 0 ? { 'data-first': true } : {})}
              onClick={() => {
                close();
                onSend(onBusy);
              }}
            >
              <Icon name={onBusy === 'QUEUE' ? 'queue' : 'stop'} size={18} />
              <span className="ui-option">
                {name}
                <span className="ui-option-more">{hint}</span>
              </span>
            </button>
          ))}
        </div>
      )}
    </Pop>
  );
}
