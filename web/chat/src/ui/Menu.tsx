// A button with a menu, by the APG's pattern: arrows, Home, End and first letters move, Esc and Tab leave.
import { useId, useLayoutEffect, useRef, useState } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';
import { Icon } from './Icon.tsx';
import type { IconName } from './Icon.tsx';
import { nextOf, place } from './pop.ts';
import './ui.css';

export interface MenuItem {
  label: string;
  icon?: IconName;
  onSelect: () => void;
  danger?: boolean;
  disabled?: boolean;
}

export interface MenuProps {
  label: string;
  icon?: IconName;
  items: MenuItem[];
  className?: string;
  /** What the button shows in place of its sign; the label stays its name. */
  children?: ReactNode;
}

export function Menu({ label, icon = 'more', items, className, children }: MenuProps) {
  const { isOpen, id, button, panel, close, onToggle } = usePop();
  const choose = (item: MenuItem) => {
    close();
    item.onSelect();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className={className ?? 'ui-icon-button'}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        popoverTarget={id}
      >
        {children ?? <Icon name={icon} />}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        className="ui-pop"
        role="menu"
        aria-label={label}
        onToggle={onToggle}
        onKeyDown={(event) => moveBy(event, close)}
      >
        {isOpen &&
          items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              disabled={item.disabled}
              className={item.danger ? 'ui-item ui-item-danger' : 'ui-item'}
              onClick={() => choose(item)}
            >
              {item.icon && <Icon name={item.icon} size={18} />}
              <span>{item.label}</span>
            </button>
          ))}
      </div>
    </>
  );
}

/** usePop holds a panel and its button together. opens is called when it has opened, and what it returns when it
 * closes or opens anew. */
export function usePop(opens: (button: HTMLElement, panel: HTMLElement) => () => void = opensList) {
  // How often it has opened, or 0. One that closes and opens at once is told of once, as open.
  const [opened, setOpened] = useState(0);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (opened > 0 && button.current && panel.current) return opens(button.current, panel.current);
  }, [opened]);
  const close = () => {
    panel.current?.hidePopover();
    button.current?.focus();
  };
  return {
    isOpen: opened > 0,
    id,
    button,
    panel,
    close,
    onToggle: (event: { newState: string }) => setOpened((n) => (event.newState === 'open' ? n + 1 : 0)),
  };
}

function opensList(button: HTMLElement, panel: HTMLElement) {
  place(button, panel);
  const items = itemsOf(panel);
  (items.find((item) => item.getAttribute('aria-selected') === 'true') ?? items[0])?.focus();
  const hide = () => panel.hidePopover();
  addEventListener('resize', hide);
  return () => removeEventListener('resize', hide);
}

function itemsOf(panel: HTMLElement): HTMLButtonElement[] {
  return [...panel.querySelectorAll<HTMLButtonElement>('.ui-item:not(:disabled)')];
}

/** moveBy moves the focus in an open panel. */
export function moveBy(event: KeyboardEvent<HTMLElement>, close: () => void) {
  const { key } = event;
  if (key === 'Escape' || key === 'Tab') {
    if (key === 'Escape') event.preventDefault();
    event.stopPropagation();
    close();
    return;
  }
  const items = itemsOf(event.currentTarget);
  const current = items.indexOf(document.activeElement as HTMLButtonElement);
  const next =
    nextOf(key, current, items.length) ?? (key.length === 1 && key !== ' ' ? startingWith(items, current, key) : null);
  if (next === null) return;
  event.preventDefault();
  items[next]?.focus();
}

function startingWith(items: HTMLElement[], current: number, key: string): number | null {
  const order = items.map((_, i) => (current + 1 + i) % items.length);
  return order.find((i) => items[i]?.textContent?.toLowerCase().startsWith(key.toLowerCase())) ?? null;
}
