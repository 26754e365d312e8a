import { lazy, useState } from 'react';
import { useTexts } from '../texts/index.ts';
import { useKey } from './keys.ts';
import { Late } from './Late.tsx';

const Keys = lazy(() => import('./Keys.tsx'));

/** The list of the keys that are in use, by Ctrl+/. */
export function KeyList() {
  const [isOpen, setOpen] = useState(false);
  useKey('mod+/', () => setOpen(true), useTexts().app.keys.show);
  const close = () => setOpen(false);
  if (!isOpen) return null;
  return (
    <Late onGone={close}>
      <Keys onClose={close} />
    </Late>
  );
}
