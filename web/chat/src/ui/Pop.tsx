// A panel that a button opens above itself, in the top layer. The browser closes it by Esc and by a click elsewhere.
import type { ReactNode } from 'react';
import { usePop } from './Menu.tsx';
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
  const { isOpen, id, button: trigger, panel, close, onToggle } = usePop(opensAbove);
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
        onToggle={onToggle}
        onKeyDown={(event) => event.key === 'Escape' && event.stopPropagation()}
      >
        {isOpen && children(close)}
      </div>
    </>
  );
}

function opensAbove(button: HTMLElement, panel: HTMLElement) {
  const put = () => place(button, panel, 'above');
  put();
  panel.querySelector<HTMLElement>('[data-first]')?.focus();
  addEventListener('resize', put);
  return () => removeEventListener('resize', put);
}
