import type { ButtonHTMLAttributes } from 'react';
import './ui.css';

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  variant?: 'primary' | 'quiet' | 'plain' | 'danger';
  /** Something is under way: a second press does nothing. The focus stays, which disabling would lose. */
  busy?: boolean;
}

export function Button({ variant = 'quiet', busy, className, type = 'button', onClick, ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      className={`ui-button ui-button-${variant} ${className ?? ''}`}
      onClick={(event) => (busy ? event.preventDefault() : onClick?.(event))}
    />
  );
}
