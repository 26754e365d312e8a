// JSON that can be opened level by level. What is closed is not drawn.
import { useState } from 'react';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';

const step = 100;

/** Tree shows a value. */
export function Tree({
  value,
  name,
  level = 0,
  more,
}: {
  value: unknown;
  name?: string;
  level?: number;
  more: (n: number) => string;
}) {
  const [isOpen, setOpen] = useState(level < 2);
  const [shown, setShown] = useState(step);
  const label = name === undefined ? null : <span className="hood-key">{name}: </span>;
  if (typeof value !== 'object' || value === null) {
    return (
      <div className="hood-leaf" dir="auto">
        {label}
        <span className={`hood-${typeof value}`}>{JSON.stringify(value) ?? 'null'}</span>
      </div>
    );
  }
  const entries = Object.entries(value);
  const sign = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  return (
    <details className="hood-node" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="ui-fold">
        <Icon name="right" size={16} />
        {label}
        <span className="hood-sign">{sign}</span>
      </summary>
      {isOpen &&
        entries
          .slice(0, shown)
          .map(([key, item]) => <Tree key={key} name={key} value={item} level={level + 1} more={more} />)}
      {isOpen && entries.length > shown && (
        <Button variant="plain" onClick={() => setShown(shown + step)}>
          {more(entries.length - shown)}
        </Button>
      )}
    </details>
  );
}
