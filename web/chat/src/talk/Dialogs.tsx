// What asks before something is done with a message.
import { useState } from 'react';
import { useModels } from '../settings/models.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { Icon } from '../ui/Icon.tsx';
import type { Actions } from './actions.ts';
import type { TalkMessage } from './list.ts';

interface Props {
  message: TalkMessage;
  actions: Actions;
  onClose: () => void;
}

export function Correct({ message, actions, onClose }: Props) {
  const texts = useTexts().talk;
  const [text, setText] = useState(message.content);
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    const done = await actions.correct(message, text);
    setBusy(false);
    if (done) onClose();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={texts.correctTitle}
      className="talk-correct"
      footer={
        <>
          <Button onClick={onClose}>{texts.cancel}</Button>
          <Button
            variant="primary"
            busy={isBusy}
            disabled={text.trim() === '' || text === message.content}
            onClick={() => void save()}
          >
            {texts.save}
          </Button>
        </>
      }
    >
      <p className="talk-hint">{texts.correctHint}</p>
      <textarea
        className="ui-input"
        aria-label={texts.correctTitle}
        dir="auto"
        rows={12}
        data-first
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </Dialog>
  );
}

export function OtherModel({ message, actions, onClose }: Props) {
  const texts = useTexts().talk;
  const { models } = useModels();
  return (
    <Dialog open onClose={onClose} title={texts.otherModelTitle}>
      <ul className="talk-models">
        {models.map(({ name, description }) => (
          <li key={name}>
            <button
              type="button"
              className="ui-item"
              data-first={name === message.model || undefined}
              onClick={() => (onClose(), void actions.again(message, name))}
              aria-current={name === message.model || undefined}
            >
              <span className="ui-option">
                {name}
                {description && <span className="ui-option-more">{description}</span>}
              </span>
              {name === message.model && <Icon name="check" size={18} />}
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
