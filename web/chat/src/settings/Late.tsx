// The settings of a talk, which are fetched when they are opened, and the gauge, which is there a moment later.
import { lazy } from 'react';
import type { ComponentProps } from 'react';
import { Late } from '../app/Late.tsx';
import type { ConversationSettingsProps } from './ConversationSettings.tsx';

const Gauge = lazy(() => import('./ContextGauge.tsx').then((all) => ({ default: all.ContextGauge })));
const Settings = lazy(() => import('./ConversationSettings.tsx'));

export function ConversationSettings(props: ConversationSettingsProps) {
  if (!props.open) return null;
  return (
    <Late onGone={props.onClose}>
      <Settings {...props} />
    </Late>
  );
}

export function ContextGauge(props: ComponentProps<typeof Gauge>) {
  return (
    <Late>
      <Gauge {...props} />
    </Late>
  );
}
