// A short word at the foot of the page, perhaps with one thing to do about it. It is announced, and never the only way
// to what it offers.
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { announce } from '../app/announce.ts';
import { useTexts } from '../texts/index.ts';
import { Icon } from './Icon.tsx';
import './ui.css';

export interface ToastOptions {
  action?: { label: string; run: () => void };
  /** Called when it goes without its action. */
  onGone?: () => void;
}

interface Toast extends ToastOptions {
  id: number;
  text: string;
}

const lasts = 7_000;
let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]) {
  toasts = next;
  listeners.forEach((listener) => listener());
}

/** toast shows a text for some seconds. */
export function toast(text: string, options: ToastOptions = {}) {
  const added = { ...options, id: ++last, text };
  // Three at most: who is shown more reads none.
  toasts.slice(0, -2).forEach((old) => old.onGone?.());
  set([...toasts.slice(-2), added]);
  announce(text);
}

function drop(gone: Toast, isDone: boolean) {
  if (!toasts.includes(gone)) return;
  set(toasts.filter((other) => other !== gone));
  if (!isDone) gone.onGone?.();
}

/** flushToasts ends all of them at once, as when the page is left. */
export function flushToasts() {
  toasts.forEach((gone) => drop(gone, false));
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

/** Where they are shown; once in the page. */
export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  const region = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Shown anew each time, so that it lies above a dialog that was opened in between.
    if (region.current?.matches(':popover-open')) region.current.hidePopover();
    if (shown.length) region.current?.showPopover();
  }, [shown]);
  return (
    <div ref={region} popover="manual" className="ui-toasts">
      {shown.map((one) => (
        <One key={one.id} toast={one} />
      ))}
    </div>
  );
}

function One({ toast }: { toast: Toast }) {
  const texts = useTexts().app;
  const isHeld = useRef(false);
  useEffect(() => {
    const timer = setInterval(() => isHeld.current || drop(toast, false), lasts);
    return () => clearInterval(timer);
  }, [toast]);
  const hold = (isOn: boolean) => () => void (isHeld.current = isOn);
  return (
    <div
      className="ui-toast"
      onPointerEnter={hold(true)}
      onPointerLeave={hold(false)}
      onFocus={hold(true)}
      onBlur={hold(false)}
    >
      <span>{toast.text}</span>
      {toast.action && (
        <button
          type="button"
          className="ui-toast-action"
          onClick={() => {
            drop(toast, true);
            toast.action?.run();
          }}
        >
          {toast.action.label}
        </button>
      )}
      <button type="button" className="ui-toast-close" aria-label={texts.close} onClick={() => drop(toast, false)}>
        <Icon name="close" size={16} />
      </button>
    </div>
  );
}
