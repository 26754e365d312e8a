// What is shown when a part of the page has failed: the rest of it stays.
import { Component } from 'react';
import type { ReactNode } from 'react';
import { SpokenContext } from '../texts/index.ts';
import type { Spoken } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';

export class Fault extends Component<{ children: ReactNode; place?: string }, { hasFailed: boolean }> {
  static override contextType = SpokenContext;
  declare context: Spoken;
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  /** Another place is tried anew; what is whole stays the same element, as when a new talk gets its address. */
  override componentDidUpdate({ place }: { place?: string }) {
    if (place !== this.props.place && this.state.hasFailed) this.setState({ hasFailed: false });
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    const texts = this.context.texts.app;
    return (
      <div className="app-note" role="alert">
        <p className="app-note-title">{texts.broken}</p>
        <p>{texts.brokenMore}</p>
        <Button onClick={() => location.reload()}>{texts.reload}</Button>
      </div>
    );
  }
}
