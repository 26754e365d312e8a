// The settings of a talk, which are fetched when they are opened.
import { lazy } from 'react';
import { Late } from '../app/Late.tsx';
import type { ConversationSettingsProps } from './ConversationSettings.tsx';

const Settings = lazy(() => import('./ConversationSettings.tsx'));

export function ConversationSettings(props: ConversationSettingsProps) {
  if (!props.open) return null;
  return (
    <Late onGone={props.onClose}>
      <Settings {...props} />
    </Late>
  );
}
