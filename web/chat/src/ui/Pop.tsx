// A panel that a button opens above itself, in the top layer. The browser closes it by Esc and by a click elsewhere.
import { useId, useLayoutEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { place } from './pop.ts';

export interface PopProps {
  label: string;
  className: string;
  button: ReactNode;
  /** The role of what is inside, as the button announces it. */
  kind: 'menu' | 'dialog' | 'listbox';
  disabled?: boolean;
  children: (close: () => void) => ReactNode;
}

export function Pop({ label, className, button, kind, disabled, children }: PopProps) {
  // How often it has opened, or 0. One that closes and opens at once is told of once, as open.
  const [opened, setOpened] = useState(0);
  const isOpen = opened > 0;
  const id = useId();
  const trigger = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!isOpen || !trigger.current || !panel.current) return;
    place(trigger.current, panel.current, 'above');
    panel.current.querySelector<HTMLElement>('[data-first]')?.focus();
    const again = () => trigger.current && panel.current && place(trigger.current, panel.current, 'above');
    addEventListener('resize', again);
    return () => removeEventListener('resize', again);
  }, [isOpen, opened]);
  const close = () => {
    panel.current?.hidePopover();
    trigger.current?.focus();
  };
  return (
    <>
      <button
        ref={trigger}
        type="button"
        className={className}
        aria-label={label}
        title={label}
        disabled={disabled}
        aria-haspopup={kind}
        aria-expanded={isOpen}
        popoverTarget={id}
      >
        {button}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        className="ui-pop"
        onToggle={({ newState }) => setOpened((n) => (newState === 'open' ? n + 1 : 0))}
        onKeyDown={(event) => event.key === 'Escape' && event.stopPropagation()}
      >
        {isOpen && children(close)}
      </div>
    </>
  );
}
