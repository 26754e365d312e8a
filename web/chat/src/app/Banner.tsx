// What has to be said of the connection. Short breaks are not: they mend themselves before anybody has read of them.
import { useEffect, useState } from 'react';
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import type { IconName } from '../ui/Icon.tsx';
import { useLine } from './line.ts';
import { useIsNewer } from './site.ts';

const patience = 1_500;

interface Said {
  text: string;
  icon: IconName;
  isCalm?: boolean;
}

export function Banner() {
  const texts = useTexts().app;
  const isNewer = useIsNewer();
  const said = useSaid();
  return (
    <div className="app-banners" role="status">
      {said && (
        <p className="app-banner app-banner-warn">
          <Icon name={said.icon} size={16} />
          {said.text}
        </p>
      )}
      {isNewer && (
        <p className="app-banner">
          <Icon name="refresh" size={16} />
          {texts.line.newer}
          <button type="button" className="app-banner-act" onClick={() => location.reload()}>
            {texts.reload}
          </button>
        </p>
      )}
    </div>
  );
}

function useSaid(): Said | null {
  const texts = useTexts().app.line;
  const line = useLine();
  const isDown = line.state === 'connecting' || line.state === 'waiting';
  const isLong = useHeld(isDown, patience);
  const now = useNow(line.state === 'waiting');
  switch (line.state) {
    case 'offline':
      return { text: texts.offline, icon: 'warn' };
    case 'restarting':
      return { text: texts.restarting, icon: 'refresh' };
    case 'connecting':
      return isLong ? { text: texts.connecting, icon: 'refresh' } : null;
    case 'waiting':
      return isLong ? { text: texts.waiting(Math.ceil((line.retryAt - now) / 1000)), icon: 'warn' } : null;
    default:
      return null;
  }
}

/** useHeld turns true when something has been so for some time. */
function useHeld(isSo: boolean, time: number): boolean {
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!isSo) return setLong(false);
    const timer = setTimeout(() => setLong(true), time);
    return () => clearTimeout(timer);
  }, [isSo, time]);
  return isSo && isLong;
}

function useNow(isOn: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isOn) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [isOn]);
  return now;
}
