// The keys that are in use.
import { useTexts } from '../texts/index.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { isMac, useKeys } from './keys.ts';

export default function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} title={useTexts().app.keys.title}>
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
