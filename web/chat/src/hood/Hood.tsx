// The drawer "Under the hood": the operations that a click sent, and the events that came.
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { IconButton } from '../ui/IconButton.tsx';
import { laidOut } from './laidOut.ts';
import { asCurl, cancelled, inGraphiql, recorder } from './recorder.ts';
import type { Entry } from './recorder.ts';
import { Tree } from './Tree.tsx';
import './hood.css';

export interface HoodProps {
  open: boolean;
  onClose(): void;
  /** Where GraphiQL is; without it there is no link to it. */
  graphiql?: string;
}

/** Hood is drawn only while it is open: recording costs little, drawing does not. */
export function Hood(props: HoodProps) {
  return props.open ? <Drawer {...props} /> : null;
}

function Drawer({ onClose, graphiql }: HoodProps) {
  const texts = useTexts().hood;
  const entries = useSyncExternalStore(recorder.subscribe, recorder.getSnapshot, recorder.getSnapshot);
  const [filter, setFilter] = useState('');
  const drawer = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    drawer.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const wanted = filter.toLowerCase();
  const shown = entries.filter(({ name, kind, code }) =>
    `${name} ${kind} ${code ?? ''}`.toLowerCase().includes(wanted),
  );
  return (
    <aside
      ref={drawer}
      className="hood"
      tabIndex={-1}
      aria-label={texts.title}
      onKeyDown={(event) => event.key === 'Escape' && onClose()}
    >
      <header className="hood-bar">
        <h2 className="hood-title">{texts.title}</h2>
        <Button variant="plain" onClick={() => recorder.clear()}>
          {texts.clear}
        </Button>
        <IconButton icon="close" label={texts.close} onClick={onClose} />
      </header>
      <input
        className="ui-input hood-filter"
        type="search"
        value={filter}
        placeholder={texts.filter}
        aria-label={texts.filter}
        onChange={(event) => setFilter(event.target.value)}
      />
      {shown.length === 0 && <p className="hood-empty">{texts.empty}</p>}
      <ol className="hood-list" reversed>
        {shown.toReversed().map((entry) => (
          <Row key={entry.id} entry={entry} graphiql={graphiql} />
        ))}
      </ol>
    </aside>
  );
}

function Row({ entry, graphiql }: { entry: Entry; graphiql: string | undefined }) {
  const texts = useTexts().hood;
  const [isOpen, setOpen] = useState(false);
  const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' }).format(entry.at);
  const codeClass = entry.code === cancelled ? 'hood-kind' : 'hood-code';
  return (
    <li>
      <details
        className="hood-entry"
        onToggle={(event) => event.target === event.currentTarget && setOpen(event.currentTarget.open)}
      >
        <summary className="ui-fold">
          <Icon name="right" size={16} />
          <span className={`hood-kind hood-kind-${entry.kind}`}>{entry.kind}</span> <bdi>{entry.name}</bdi>{' '}
          {entry.code && <span className={codeClass}>{entry.code}</span>}{' '}
          <small>
            {time}
            {entry.took !== null && ` · ${entry.took} ms`}
          </small>
        </summary>
        {isOpen && (
          <div className="hood-inside">
            {entry.document && <pre tabIndex={0}>{laidOut(entry.document)}</pre>}
            {entry.variables != null && <Tree name={texts.variables} value={entry.variables} more={texts.more} />}
            {entry.answer != null && <Tree name={texts.answer} value={entry.answer} more={texts.more} />}
            {entry.document && (
              <p className="hood-acts">
                <CopyCurl entry={entry} />
                {graphiql && (
                  <a
                    className="ui-button ui-button-quiet"
                    href={inGraphiql(entry, graphiql)}
                    target="_blank"
                    rel="noopener"
                  >
                    {texts.openGraphiql}
                  </a>
                )}
              </p>
            )}
          </div>
        )}
      </details>
    </li>
  );
}

function CopyCurl({ entry }: { entry: Entry }) {
  const texts = useTexts().hood;
  const [label, setLabel] = useState(texts.copyCurl);
  const copy = () =>
    Promise.resolve()
      .then(() => navigator.clipboard.writeText(asCurl(entry, location.origin)))
      .then(
        () => setLabel(texts.copied),
        () => setLabel(texts.copyFailed),
      );
  return (
    <Button onClick={() => void copy()}>
      <span aria-live="polite">{label}</span>
    </Button>
  );
}
