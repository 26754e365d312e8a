// A part that is fetched when it is opened. One that cannot be fetched says so, and leaves the page whole.
import { Component, Suspense } from 'react';
import type { ReactNode } from 'react';
import { SpokenContext } from '../texts/index.ts';
import type { Spoken } from '../texts/index.ts';
import { toast } from '../ui/toast.tsx';

interface LateProps {
  children: ReactNode;
  /** What is shown until it is there. */
  until?: ReactNode;
  onGone?: () => void;
}

export class Late extends Component<LateProps, { hasFailed: boolean }> {
  static override contextType = SpokenContext;
  declare context: Spoken;
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override componentDidCatch() {
    if (!this.props.onGone) return;
    toast(this.context.texts.app.brokenMore);
    this.props.onGone();
  }

  override render() {
    const { until = null, children } = this.props;
    return this.state.hasFailed ? until : <Suspense fallback={until}>{children}</Suspense>;
  }
}
