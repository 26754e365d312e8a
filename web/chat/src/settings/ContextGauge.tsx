// How full the context of the model is: a small ring, and on demand what the last reply did and did not see.
import { memo } from 'react';
import { Pop } from '../ui/Pop.tsx';
import { useTexts } from '../texts/index.ts';
import { compact } from './ModelPicker.tsx';
import { useReading } from './reading.ts';
import type { Reading } from './reading.ts';
import './settings.css';

export interface ContextGaugeProps {
  id: string;
  /** Anything that changes when a reply ends. */
  version?: string;
  onSettings?: () => void;
}

/** Beside a box that is typed in: drawn anew only when it shows something else. */
export const ContextGauge = memo(function ContextGauge({ id, version = '', onSettings }: ContextGaugeProps) {
  const texts = useTexts().settings;
  const reading = useReading(id, version);
  const { use, seen } = reading;
  const share = use?.limitTokens ? Math.min(1, use.usedTokens / use.limitTokens) : null;
  const percent = new Intl.NumberFormat(document.documentElement.lang || undefined, { style: 'percent' });
  const isCut = seen?.cutByServer ?? false;
  const isPartly = (seen?.droppedCount ?? 0) > 0;
  const state = isCut ? 'cut' : share !== null && share > 0.9 ? 'high' : isPartly ? 'part' : 'calm';
  const label = isCut ? texts.gaugeCut : share === null ? texts.gaugeUnknown : texts.gaugeShare(percent.format(share));
  return (
    <Pop
      label={label}
      className={`comp-quiet set-gauge set-gauge-${state}`}
      kind="dialog"
      button={<Ring share={share} />}
    >
      {(close) => (
        <Facts
          reading={reading}
          {...(onSettings && {
            onSettings: () => {
              close();
              onSettings();
            },
          })}
        />
      )}
    </Pop>
  );
});

const round = 2 * Math.PI * 7;

/** Dashed where the limit is unknown: there is nothing to be full. */
function Ring({ share }: { share: number | null }) {
  return (
    <svg className="set-ring" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <circle cx="10" cy="10" r="7" className={share === null ? 'set-ring-unknown' : 'set-ring-all'} />
      {share !== null && (
        <circle
          cx="10"
          cy="10"
          r="7"
          className="set-ring-used"
          strokeDasharray={`${Math.max(0.02, share) * round} ${round}`}
        />
      )}
    </svg>
  );
}

function Facts({ reading: { use, seen, summary }, onSettings }: { reading: Reading; onSettings?: () => void }) {
  const texts = useTexts().settings;
  if (!use) return <p className="set-facts">{texts.loading}</p>;
  const { usedTokens, limitTokens, reservedTokens, measured } = use;
  const isEmpty = usedTokens === 0 && !measured;
  const dropped = seen?.droppedCount ?? 0;
  return (
    <div className="set-facts" role="dialog" aria-label={texts.gauge} tabIndex={-1} data-first>
      {isEmpty ? <p>{texts.gaugeNothing}</p> : <Figure used={usedTokens} limit={limitTokens} />}
      {limitTokens !== null && <Bar used={usedTokens / limitTokens} reserved={reservedTokens / limitTokens} />}
      <p className="set-facts-note">
        {isEmpty ? '' : measured ? texts.gaugeMeasured : texts.gaugeEstimated}{' '}
        {limitTokens === null
          ? texts.gaugeNoLimit
          : reservedTokens > 0
            ? texts.gaugeReserved(compact(reservedTokens))
            : ''}
      </p>
      {seen?.cutByServer && <p className="set-facts-cut">{texts.gaugeCut}</p>}
      {seen && !seen.cutByServer && (
        <p className={dropped > 0 ? 'set-facts-part' : 'set-facts-note'}>
          {dropped > 0 ? texts.gaugeDropped(dropped) : texts.gaugeAll}{' '}
          {dropped > 0 && summary ? texts.gaugeSummary : ''}
        </p>
      )}
      {onSettings && (
        <button type="button" className="comp-link" onClick={onSettings}>
          {texts.gaugeChange}
        </button>
      )}
    </div>
  );
}

function Figure({ used, limit }: { used: number; limit: number | null }) {
  const texts = useTexts().settings;
  return (
    <>
      <p className="set-facts-lead">{texts.gaugeNext}</p>
      <p className="set-facts-figure">
        {limit === null ? texts.gaugeUsedOnly(compact(used)) : texts.gaugeUsed(compact(used), compact(limit))}
      </p>
    </>
  );
}

function Bar({ used, reserved }: { used: number; reserved: number }) {
  const width = (share: number) => ({ inlineSize: `${Math.min(1, share) * 100}%` });
  return (
    <div className="set-bar" aria-hidden="true">
      <span className="set-bar-used" style={width(used)} />
      <span className="set-bar-free" />
      <span className="set-bar-reserved" style={width(reserved)} />
    </div>
  );
}
