// A panel that a button opens above itself, in the top layer. The browser closes it by Esc and by a click elsewhere.
import { useId, useLayoutEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';

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
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const trigger = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!isOpen || !trigger.current || !panel.current) return;
    place(trigger.current, panel.current);
    panel.current.querySelector<HTMLElement>('[data-first]')?.focus();
    const again = () => trigger.current && panel.current && place(trigger.current, panel.current);
    addEventListener('resize', again);
    return () => removeEventListener('resize', again);
  }, [isOpen]);
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
        className="comp-pop"
        onToggle={(event) => setOpen(event.newState === 'open')}
        onKeyDown={(event) => event.key === 'Escape' && event.stopPropagation()}
      >
        {isOpen && children(close)}
      </div>
    </>
  );
}

/** Above the button where there is room, below otherwise, and never over an edge. */
function place(trigger: HTMLElement, panel: HTMLElement) {
  const gap = 8;
  const at = trigger.getBoundingClientRect();
  const { width } = panel.getBoundingClientRect();
  const isRight = at.left + at.width / 2 > innerWidth / 2;
  const left = isRight ? at.right - width : at.left;
  panel.style.left = `${Math.max(gap, Math.min(left, innerWidth - width - gap))}px`;
  const isAbove = at.top > innerHeight - at.bottom;
  panel.style.top = isAbove ? 'auto' : `${at.bottom + gap}px`;
  panel.style.bottom = isAbove ? `${innerHeight - at.top + gap}px` : 'auto';
  panel.style.maxHeight = `${(isAbove ? at.top : innerHeight - at.bottom) - 2 * gap}px`;
}
