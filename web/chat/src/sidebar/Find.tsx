// Finds a conversation by its name. The server has no search of names, so what is loaded is looked through, and more is
// loaded when asked to: it is said how far that reached.
import { useEffect, useId, useRef, useState } from 'react';
import type { KeyboardEvent } from 'react';
import { go, pathOf } from '../app/route.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { nextOf } from '../ui/pop.ts';
import { talks, useTalks } from './live.ts';
import type { Row } from './talks.ts';

/** Case and accents do not matter to who looks for something. */
export function plain(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

export function matching(rows: readonly Row[], text: string): Row[] {
  const words = plain(text).split(/\s+/).filter(Boolean);
  return rows.filter(({ name }) => {
    const said = plain(name);
    return words.every((word) => said.includes(word));
  });
}

const shown = 50;

export default function Find({ onClose }: { onClose: () => void }) {
  const texts = useTexts().sidebar;
  return (
    <Dialog open onClose={onClose} title={texts.find} className="side-find">
      <Finder onClose={onClose} />
    </Dialog>
  );
}

function Finder({ onClose }: { onClose: () => void }) {
  const texts = useTexts().sidebar;
  const view = useTalks(talks);
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const found = matching(view.rows, text).slice(0, shown);
  const at = Math.min(active, found.length - 1);
  useEffect(() => {
    // Newer browsers return a promise, which is nothing that React may clean up by.
    void list.current?.children[at]?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  const choose = (row: Row | undefined) => {
    if (!row) return;
    onClose();
    go(pathOf(row.id));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'Enter') choose(found[at]);
    if (event.key === 'Home' || event.key === 'End') return;
    const next = found.length ? nextOf(event.key, at, found.length) : null;
    if (next === null) return;
    event.preventDefault();
    setActive(next);
  };
  return (
    <>
      <input
        className="ui-input"
        type="search"
        role="combobox"
        data-first
        autoComplete="off"
        aria-label={texts.find}
        dir="auto"
        placeholder={texts.findHint}
        aria-expanded={found.length > 0}
        aria-controls={id}
        enterKeyHint="go"
        aria-activedescendant={found[at] && `${id}-${at}`}
        value={text}
        onKeyDown={onKeyDown}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
      />
      <ul ref={list} id={id} role="listbox" aria-label={texts.title} className="side-found">
        {found.map((row, i) => (
          <li
            key={row.id}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === at}
            data-active={i === at}
            className="ui-item"
            dir="auto"
            onPointerMove={() => setActive(i)}
            onClick={() => choose(row)}
          >
            {row.name || texts.unnamed}
          </li>
        ))}
      </ul>
      <div className="side-find-end">
        <p className="ui-hint" role="status">
          {text && !found.length && `${texts.nothing(text)} `}
          {view.hasMore ? texts.searched(view.rows.length) : texts.searchedAll(view.rows.length)}
        </p>
        {view.hasMore && (
          <Button variant="plain" busy={view.isLoadingMore} onClick={() => void talks.more()}>
            {texts.searchOlder}
          </Button>
        )}
      </div>
    </>
  );
}
