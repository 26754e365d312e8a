// Which model answers: a list with what each is and reads, to be searched when it is long.
import { useId, useRef, useState } from 'react';
import type { KeyboardEvent } from 'react';
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import { Pop } from '../ui/Pop.tsx';
import { found, useModels } from './models.ts';
import type { Model } from './models.ts';
import './settings.css';

export interface ModelPickerProps {
  /** Null: the server's standard. */
  value: string | null;
  onChange: (model: string | null) => void;
  disabled?: boolean;
  wide?: boolean;
}

export function ModelPicker({ value, onChange, disabled, wide }: ModelPickerProps) {
  const texts = useTexts().settings;
  const { models, failed } = useModels();
  const standard = models.find(({ isDefault }) => isDefault);
  const shown = value ?? standard?.name ?? texts.modelStandard;
  const button = (
    <>
      <span className="set-model-name">{shown}</span>
      <Icon name="down" />
    </>
  );
  return (
    <Pop
      label={`${texts.model}: ${shown}`}
      className={`set-model${wide ? ' set-model-wide' : ''}`}
      kind="listbox"
      button={button}
      disabled={disabled}
    >
      {(close) =>
        failed ? (
          <p className="set-models-none">{texts.modelsFailed}</p>
        ) : (
          <Models
            models={models}
            value={value ?? standard?.name ?? null}
            onChoose={(model) => {
              close();
              // The standard stays what it is when the operator changes it.
              onChange(model.isDefault ? null : model.name);
            }}
          />
        )
      }
    </Pop>
  );
}

interface ModelsProps {
  models: readonly Model[];
  value: string | null;
  onChoose: (model: Model) => void;
}

const searchedFrom = 9;

function Models({ models, value, onChoose }: ModelsProps) {
  const texts = useTexts().settings;
  const id = useId();
  const [sought, setSought] = useState('');
  const shown = found(models, sought);
  const [at, setAt] = useState(() =>
    Math.max(
      0,
      models.findIndex(({ name }) => name === value),
    ),
  );
  const place = Math.min(at, shown.length - 1);
  const list = useRef<HTMLUListElement>(null);
  const move = (to: number) => {
    setAt(to);
    list.current?.children[to]?.scrollIntoView({ block: 'nearest' });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = moved(event.key, place, shown.length);
    const model = shown[place];
    if (to !== null) move(to);
    else if (event.key === 'Enter' && model) onChoose(model);
    else return;
    event.preventDefault();
  };
  const active = shown.length > 0 ? `${id}-${place}` : undefined;
  const isLong = models.length >= searchedFrom;
  return (
    <div className="set-models" onKeyDown={onKeyDown}>
      {isLong && (
        <label className="set-models-search">
          <Icon name="search" />
          <input
            data-first
            type="search"
            role="combobox"
            aria-expanded="true"
            aria-controls={id}
            aria-activedescendant={active}
            aria-label={texts.modelSearch}
            placeholder={texts.modelSearch}
            value={sought}
            autoComplete="off"
            onChange={(event) => {
              setSought(event.target.value);
              setAt(0);
            }}
          />
        </label>
      )}
      {shown.length === 0 && <p className="set-models-none">{texts.modelNone}</p>}
      <ul
        ref={list}
        id={id}
        role="listbox"
        aria-label={texts.model}
        tabIndex={isLong ? -1 : 0}
        {...(isLong ? {} : { 'data-first': true, 'aria-activedescendant': active })}
      >
        {shown.map((model, i) => (
          <li
            key={model.name}
            id={`${id}-${i}`}
            role="option"
            aria-selected={model.name === value}
            className={i === place ? 'set-option set-option-at' : 'set-option'}
            onPointerMove={() => setAt(i)}
            onClick={() => onChoose(model)}
          >
            <ModelRow model={model} isChosen={model.name === value} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function moved(key: string, at: number, length: number): number | null {
  if (length === 0) return null;
  switch (key) {
    case 'ArrowDown':
      return (at + 1) % length;
    case 'ArrowUp':
      return (at + length - 1) % length;
    case 'Home':
      return 0;
    case 'End':
      return length - 1;
    default:
      return null;
  }
}

function ModelRow({ model, isChosen }: { model: Model; isChosen: boolean }) {
  const texts = useTexts().settings;
  const reads = model.contextTokens === null ? null : texts.modelContext(compact(model.contextTokens));
  const facts = [model.isDefault ? texts.modelIsDefault : null, reads].filter((fact) => fact !== null);
  return (
    <>
      <span className="set-option-tick">{isChosen && <Icon name="check" />}</span>
      <span className="set-option-text">
        <span className="set-option-name">{model.name}</span>
        {facts.length > 0 && <span className="set-option-facts">{facts.join(' · ')}</span>}
        {model.description && <span className="set-option-about">{model.description}</span>}
      </span>
    </>
  );
}

/** compact writes a number of tokens as people say it: 128K. */
export function compact(n: number): string {
  return new Intl.NumberFormat(document.documentElement.lang || undefined, {
    notation: n < 10_000 ? 'standard' : 'compact',
    maximumFractionDigits: 1,
  }).format(n);
}
