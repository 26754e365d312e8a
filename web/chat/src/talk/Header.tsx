// The name of the open talk, and what can be done with all of it.
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { useMutation } from 'urql';
import { ChangeRowDocument, DeleteRowDocument } from '../api/generated/documents.ts';
import { go, pathOf } from '../app/route.ts';
import { ConversationSettings } from '../settings/Late.tsx';
import { useRow } from '../sidebar/live.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { Menu } from '../ui/Menu.tsx';
import type { MenuItem } from '../ui/Menu.tsx';
import { toast } from '../ui/toast.tsx';
import { codeOf } from './actions.ts';
import type { Actions } from './actions.ts';
import type { TalkOfPage } from './state.ts';

export interface HeaderProps {
  state: TalkOfPage;
  actions: Actions;
  /** What stands before the name, such as the way to the sidebar on a phone. */
  lead?: ReactNode;
  onHood?: (() => void) | undefined;
}

export function Header({ state, actions, lead, onHood }: HeaderProps) {
  const texts = useTexts().talk;
  const [open, setOpen] = useState<'rename' | 'settings' | 'remove' | null>(null);
  const [, change] = useMutation(ChangeRowDocument);
  const { conversation, talk, messages } = state;
  // The list knows the name before the talk is loaded.
  const row = useRow(talk.id);
  const save = async (input: { name?: string; archived?: boolean; pinned?: boolean }) => {
    const { error } = await change({ input: { conversationId: talk.id, ...input } });
    if (error) toast(texts.refused[codeOf(error)] ?? texts.refusedOther);
    return !error;
  };
  const last = messages.findLast(({ status }) => status !== 'STREAMING' && status !== 'QUEUED');
  const isArchived = Boolean(conversation?.archivedAt);
  const items: MenuItem[] = [
    { label: texts.rename, icon: 'pencil', onSelect: () => setOpen('rename') },
    { label: texts.settings, icon: 'sliders', onSelect: () => setOpen('settings') },
    {
      label: conversation?.pinned ? texts.unpin : texts.pin,
      icon: conversation?.pinned ? 'unpin' : 'pin',
      onSelect: () => void save({ pinned: !conversation?.pinned }),
    },
    { label: texts.fork, icon: 'fork', disabled: !last, onSelect: () => last && void actions.fork(last) },
    {
      label: isArchived ? texts.unarchive : texts.archive,
      icon: isArchived ? 'unarchive' : 'archive',
      onSelect: () => void save({ archived: !isArchived }),
    },
    ...(onHood ? [{ label: texts.hood, icon: 'code' as const, onSelect: onHood }] : []),
    { label: texts.remove, icon: 'trash', danger: true, onSelect: () => setOpen('remove') },
  ];
  return (
    <header className="talk-head">
      {lead}
      <h1 className="talk-name" dir="auto">
        {(conversation ? conversation.name : row?.name) || texts.title}
      </h1>
      <Menu label={texts.menu} items={items} />
      <Rename
        open={open === 'rename'}
        name={conversation?.name ?? ''}
        onClose={() => setOpen(null)}
        onSave={(name) => save({ name })}
      />
      <ConversationSettings id={talk.id} open={open === 'settings'} onClose={() => setOpen(null)} />
      <Remove open={open === 'remove'} id={talk.id} onClose={() => setOpen(null)} />
    </header>
  );
}

interface RenameProps {
  open: boolean;
  name: string;
  onClose: () => void;
  onSave: (name: string) => Promise<boolean>;
}

function Rename({ open, name, onClose, onSave }: RenameProps) {
  const texts = useTexts().talk;
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget).get('name');
    if (await onSave(typeof typed === 'string' ? typed : '')) onClose();
  };
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={texts.rename}
      footer={
        <>
          <Button onClick={onClose}>{texts.cancel}</Button>
          <Button variant="primary" type="submit" form="talk-rename">
            {texts.save}
          </Button>
        </>
      }
    >
      <form id="talk-rename" onSubmit={(event) => void submit(event)}>
        <input
          className="ui-input"
          name="name"
          aria-label={texts.name}
          defaultValue={name}
          maxLength={200}
          dir="auto"
          data-first
          onFocus={(event) => event.target.select()}
        />
      </form>
    </Dialog>
  );
}

function Remove({ open, id, onClose }: { open: boolean; id: string; onClose: () => void }) {
  const texts = useTexts().talk;
  const [{ fetching }, remove] = useMutation(DeleteRowDocument);
  const run = async () => {
    const { error } = await remove({ input: { conversationId: id } });
    if (error && codeOf(error) !== 'NOT_FOUND') return toast(texts.refused[codeOf(error)] ?? texts.refusedOther);
    onClose();
    go(pathOf(null));
  };
  return (
    <Sure
      open={open}
      title={texts.removeTalkTitle}
      text={texts.removeTalk}
      isBusy={fetching}
      onClose={onClose}
      onYes={() => void run()}
    />
  );
}

interface SureProps {
  open: boolean;
  title: string;
  text: string;
  isBusy?: boolean;
  onClose: () => void;
  onYes: () => void;
}

/** Asks once more before something is gone for good. */
export function Sure({ open, title, text, isBusy, onClose, onYes }: SureProps) {
  const texts = useTexts().talk;
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={title}
      footer={
        <>
          <Button onClick={onClose}>{texts.cancel}</Button>
          <Button variant="danger" busy={isBusy} onClick={onYes}>
            {texts.remove}
          </Button>
        </>
      }
    >
      <p>{text}</p>
    </Dialog>
  );
}
