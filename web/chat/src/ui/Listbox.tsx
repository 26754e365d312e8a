// A button that shows what is chosen, and opens the list to choose from.
import { Icon } from './Icon.tsx';
import type { IconName } from './Icon.tsx';
import { moveBy, usePop } from './Menu.tsx';
import './ui.css';

export interface ListboxOption<T extends string = string> {
  value: T;
  label: string;
  description?: string;
}

export interface ListboxProps<T extends string = string> {
  label: string;
  value: T;
  options: ListboxOption<T>[];
  onChange: (value: T) => void;
  icon?: IconName;
  className?: string;
}

export function Listbox<T extends string>({ label, value, options, onChange, icon, className }: ListboxProps<T>) {
  const { isOpen, id, button, panel, close, onToggle } = usePop();
  const shown = options.find((option) => option.value === value)?.label ?? value;
  return (
    <>
      <button
        ref={button}
        type="button"
        className={`ui-choice ${className ?? ''}`}
        aria-haspopup="listbox"
        popoverTarget={id}
        aria-expanded={isOpen}
        aria-label={`${label}: ${shown}`}
      >
        {icon && <Icon name={icon} size={18} />}
        <span className="ui-choice-value">{shown}</span>
        <Icon name="down" size={18} />
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        className="ui-pop"
        role="listbox"
        aria-label={label}
        onToggle={onToggle}
        onKeyDown={(event) => moveBy(event, close)}
      >
        {isOpen &&
          options.map((option) => (
            <button
              key={option.value}
              type="button"
              role="option"
              tabIndex={-1}
              aria-selected={option.value === value}
              className="ui-item"
              onClick={() => {
                close();
                onChange(option.value);
              }}
            >
              <span className="ui-option">
                {option.label}
                {option.description && <span className="ui-option-more">{option.description}</span>}
              </span>
              {option.value === value && <Icon name="check" size={18} />}
            </button>
          ))}
      </div>
    </>
  );
}
