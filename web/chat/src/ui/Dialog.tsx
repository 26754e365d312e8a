// A dialog of the browser's own: it holds the focus, gives it back, and closes by Esc. The focus begins at the element
// with data-first, or else at the first.
import { useEffect, useId, useRef } from 'react';
import type { ReactNode } from 'react';
import { useTexts } from '../texts/index.ts';
import { IconButton } from './IconButton.tsx';
import './ui.css';

export interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  footer?: ReactNode;
  className?: string;
}

export function Dialog({ open, ...props }: DialogProps) {
  return open ? <Opened {...props} /> : null;
}

function Opened({ onClose, title, children, footer, className }: Omit<DialogProps, 'open'>) {
  const texts = useTexts().app;
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement;
    element.showModal();
    // React has done its autoFocus already, in a dialog that was closed: that is nothing.
    element.querySelector<HTMLElement>('[data-first]')?.focus();
    return () => {
      element.close();
      // React takes the element out before the browser gives the focus back.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`ui-dialog ${className ?? ''}`}
      aria-labelledby={titleId}
      onCancel={(event) => {
        // Whoever opened it says when it is closed.
        event.preventDefault();
        if (event.target === event.currentTarget) onClose();
      }}
      onKeyDown={(event) => event.key === 'Escape' && event.stopPropagation()}
      onPointerDown={(event) => isOutside(event.currentTarget, event) && onClose()}
    >
      <header className="ui-dialog-head">
        <h2 id={titleId} className="ui-dialog-title">
          {title}
        </h2>
        <IconButton icon="close" label={texts.close} onClick={onClose} />
      </header>
      <div className="ui-dialog-body">{children}</div>
      {footer && <footer className="ui-dialog-foot">{footer}</footer>}
    </dialog>
  );
}

/** A press on the backdrop is one on the dialog, beside its box. */
function isOutside(element: HTMLElement, event: { target: EventTarget; clientX: number; clientY: number }): boolean {
  if (event.target !== element) return false;
  const box = element.getBoundingClientRect();
  const { clientX: x, clientY: y } = event;
  return x < box.left || x > box.right || y < box.top || y > box.bottom;
}
