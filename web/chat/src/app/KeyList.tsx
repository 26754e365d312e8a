import { useState } from 'react';
import { useTexts } from '../texts/index.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { isMac, useKey, useKeys } from './keys.ts';

/** The list of the keys that are in use, by Ctrl+/. */
export function KeyList() {
  const texts = useTexts().app.keys;
  const [isOpen, setOpen] = useState(false);
  useKey('mod+/', () => setOpen(true), texts.show);
  return (
    <Dialog open={isOpen} onClose={() => setOpen(false)} title={texts.title}>
      <Keys />
    </Dialog>
  );
}

const signs: Record<string, string> = { ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→', Escape: 'Esc' };

function Keys() {
  const texts = useTexts().app.keys;
  const named: Record<string, string> = { ...signs, mod: isMac ? '⌘' : texts.mod, alt: texts.alt, shift: texts.shift };
  return (
    <dl className="app-keys">
      {useKeys().map(({ keys, label }) => (
        <div key={keys} className="app-key">
          <dt>{label}</dt>
          <dd>
            {keys.split('+').map((key) => (
              <kbd key={key}>{named[key] ?? key.toUpperCase()}</kbd>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}
