// The conversations, newest first, by day: live, and as long as they are.
import { lazy, useContext, useEffect, useRef, useState } from 'react';
import type { KeyboardEvent } from 'react';
import { VList } from 'virtua';
import type { VListHandle } from 'virtua';
import { useKey } from '../app/keys.ts';
import { Late } from '../app/Late.tsx';
import { go, Link } from '../app/route.ts';
import { SpokenContext, useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { IconButton } from '../ui/IconButton.tsx';
import { dayOf, entriesOf } from './days.ts';
import type { Entry } from './days.ts';
import { archive, follow, openArchive, talks, useTalks } from './live.ts';
import { Row } from './Row.tsx';
import type { View } from './talks.ts';
import './sidebar.css';

const Find = lazy(() => import('./Find.tsx'));

export interface SidebarProps {
  current: string | null;
  /** Called when a conversation is chosen. */
  onGo?: () => void;
}

export function Sidebar({ current, onGo }: SidebarProps) {
  const texts = useTexts();
  const [isArchive, setArchive] = useState(false);
  const [isFinding, setFinding] = useState(false);
  useEffect(follow, []);
  useKey('mod+k', () => setFinding(true), texts.app.keys.search);
  useKey('mod+shift+o', () => go('/'), texts.app.keys.newTalk);
  return (
    <nav className="side" aria-label={texts.sidebar.title}>
      <div className="side-top">
        <Link to="/" className="side-new" aria-current={current === null ? 'page' : undefined} onClick={onGo}>
          <Icon name="compose" />
          {texts.sidebar.newTalk}
        </Link>
        <IconButton icon="search" label={texts.sidebar.find} onClick={() => setFinding(true)} />
      </div>
      <List key={`${isArchive}`} isArchive={isArchive} current={current} onGo={onGo} />
      <button
        type="button"
        className="side-archive"
        onClick={() => {
          if (!isArchive) openArchive();
          setArchive(!isArchive);
        }}
      >
        <Icon name={isArchive ? 'back' : 'archive'} size={18} />
        {isArchive ? texts.sidebar.leaveArchive : texts.sidebar.archive}
      </button>
      {isFinding && (
        <Late onGone={() => setFinding(false)}>
          <Find onClose={() => setFinding(false)} />
        </Late>
      )}
    </nav>
  );
}

function List({ isArchive, current, onGo }: SidebarProps & { isArchive: boolean }) {
  const texts = useTexts().sidebar;
  const { language } = useContext(SpokenContext);
  const list = isArchive ? archive : talks;
  const view = useTalks(list);
  const handle = useRef<VListHandle>(null);
  const now = new Date();
  const entries = entriesOf(view.rows, texts.pinned, (row) => dayOf(row.lastMessageAt, now, language, texts));
  const loadMore = () => {
    const scroller = handle.current;
    if (!scroller || !view.hasMore) return;
    if (scroller.scrollOffset + 2 * scroller.viewportSize >= scroller.scrollSize) void list.more();
  };
  // A page that does not fill the screen is not scrolled.
  useEffect(loadMore, [entries.length, view.hasMore]);
  if (!view.rows.length) return <Nothing view={view} isArchive={isArchive} onAgain={() => void list.refresh()} />;
  return (
    <VList ref={handle} className="side-list" onScroll={loadMore} onKeyDown={moveBetween}>
      {entries.map((entry) => (
        <Line key={entry.key} entry={entry} current={current} onGo={onGo} />
      ))}
      <p className="side-end">
        {view.isLoadingMore ? texts.loading : !view.hasMore && entries.length > 30 ? texts.end : ''}
      </p>
    </VList>
  );
}

function Line({ entry, current, onGo }: SidebarProps & { entry: Entry }) {
  if (entry.kind === 'heading') return <h2 className="side-day">{entry.text}</h2>;
  return <Row row={entry.row} isCurrent={entry.row.id === current} onGo={onGo} />;
}

function Nothing({ view, isArchive, onAgain }: { view: View; isArchive: boolean; onAgain: () => void }) {
  const texts = useTexts().sidebar;
  if (view.state === 'loading')
    return (
      <p className="side-nothing" role="status">
        {texts.loading}
      </p>
    );
  if (view.state === 'failed') {
    return (
      <div className="side-nothing" role="alert">
        <p>{texts.failed}</p>
        <Button onClick={onAgain}>{texts.again}</Button>
      </div>
    );
  }
  return <p className="side-nothing">{isArchive ? texts.emptyArchive : texts.empty}</p>;
}

/** Arrows go from one conversation to the next, beside Tab, which goes through their menus too. */
function moveBetween(event: KeyboardEvent<HTMLElement>) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !(event.target instanceof Element) || !event.target.matches('.side-link')) return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>('.side-link')];
  const next = links[links.indexOf(event.target as HTMLElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
