// One conversation in the list: its name, whether something goes on in it, and what can be done to it.
import { useState } from 'react';
import { Link, pathOf } from '../app/route.ts';
import { useSite } from '../app/site.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { Menu } from '../ui/Menu.tsx';
import type { MenuItem } from '../ui/Menu.tsx';
import { useRowActions } from './actions.ts';
import type { Row as Talk } from './talks.ts';

export interface RowProps {
  row: Talk;
  isCurrent: boolean;
  onGo?: () => void;
}

export function Row({ row, isCurrent, onGo }: RowProps) {
  const texts = useTexts().sidebar;
  const actions = useRowActions(row, isCurrent);
  const [doing, setDoing] = useState<'rename' | 'remove' | null>(null);
  const name = row.name || texts.unnamed;
  const done = () => setDoing(null);
  const items = useItems(row, actions, setDoing);
  if (doing === 'rename') return <Rename name={row.name} onDone={done} onName={actions.rename} />;
  return (
    <div className="side-row" aria-busy={actions.isBusy || undefined}>
      <Link to={pathOf(row.id)} className="side-link" aria-current={isCurrent ? 'page' : undefined} onClick={onGo}>
        <span className="side-name" dir="auto">
          {name}
        </span>
        <Going row={row} />
      </Link>
      <Menu label={texts.menuOf(name)} items={items} className="ui-icon-button side-more" />
      <Dialog
        open={doing === 'remove'}
        onClose={done}
        title={texts.removeTitle}
        footer={<RemoveFoot onDone={done} {...actions} />}
      >
        <p dir="auto">{texts.removeText(name)}</p>
      </Dialog>
    </div>
  );
}

function Going({ row }: { row: Talk }) {
  const texts = useTexts().sidebar;
  const waiting = row.queuedReplies.length;
  if (!row.runningReply && !waiting) return null;
  const label = row.runningReply ? texts.running : texts.waiting(waiting);
  return (
    <span
      className={row.runningReply ? 'side-going' : 'side-going side-going-waits'}
      role="img"
      aria-label={label}
      title={label}
    />
  );
}

type Actions = ReturnType<typeof useRowActions>;

function useItems(row: Talk, actions: Actions, doing: (what: 'rename' | 'remove') => void): MenuItem[] {
  const texts = useTexts().sidebar;
  const canName = useSite()?.features.includes('titles') ?? false;
  const items: (MenuItem | false)[] = [
    { label: texts.rename, icon: 'pencil', onSelect: () => doing('rename') },
    canName && { label: texts.regenerate, icon: 'spark', onSelect: () => void actions.regenerate() },
    { label: row.pinned ? texts.unpin : texts.pin, icon: row.pinned ? 'unpin' : 'pin', onSelect: actions.pin },
    row.archivedAt === null
      ? { label: texts.toArchive, icon: 'archive', onSelect: () => void actions.archive() }
      : { label: texts.fromArchive, icon: 'unarchive', onSelect: actions.unarchive },
    { label: texts.remove, icon: 'trash', danger: true, onSelect: () => doing('remove') },
  ];
  return items.filter((item) => item !== false);
}

function RemoveFoot({ onDone, remove, isBusy }: Actions & { onDone: () => void }) {
  const texts = useTexts();
  return (
    <>
      <Button variant="plain" onClick={onDone}>
        {texts.app.cancel}
      </Button>
      <Button variant="danger" busy={isBusy} onClick={() => void remove().then((isGone) => isGone || onDone())}>
        {texts.sidebar.remove}
      </Button>
    </>
  );
}

function Rename({ name, onDone, onName }: { name: string; onDone: () => void; onName: (name: string) => void }) {
  const texts = useTexts().sidebar;
  const [text, setText] = useState(name);
  const end = (isKept: boolean) => {
    if (isKept && text.trim() && text.trim() !== name) onName(text.trim());
    onDone();
  };
  return (
    <input
      className="ui-input side-rename"
      autoFocus
      maxLength={200}
      aria-label={texts.renameOf}
      value={text}
      dir="auto"
      enterKeyHint="done"
      onFocus={(event) => event.target.select()}
      onChange={(event) => setText(event.target.value)}
      onBlur={() => end(true)}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === 'Enter') end(true);
        if (event.key === 'Escape') {
          event.preventDefault();
          end(false);
        }
      }}
    />
  );
}
