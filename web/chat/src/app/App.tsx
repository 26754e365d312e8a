// The frame of the page: who is signed in decides between the two halves.
import { lazy, useEffect, useRef, useState } from 'react';
import { Provider } from 'urql';
import { SignIn } from '../account/SignIn.tsx';
import { client } from '../api/client.ts';
import { useRow } from '../sidebar/live.ts';
import { Sidebar } from '../sidebar/Sidebar.tsx';
import { Talk } from '../talk/Talk.tsx';
import { useTexts } from '../texts/index.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { Toasts } from '../ui/toast.tsx';
import { announceIn } from './announce.ts';
import { Banner } from './Banner.tsx';
import { Fault } from './Fault.tsx';
import { useKey } from './keys.ts';
import { KeyList } from './KeyList.tsx';
import { Late } from './Late.tsx';
import { Mark } from './Mark.tsx';
import { go, Link, useRoute } from './route.ts';
import { useSite, useSiteName } from './site.ts';
import { Spoken } from './Spoken.tsx';
import { useWho, whereTo } from './who.ts';
import './focus.ts';
import './app.css';

const Account = lazy(() => import('../account/Account.tsx'));
const Hood = lazy(() => import('../hood/Hood.tsx').then(({ Hood: one }) => ({ default: one })));

export function App() {
  return (
    <Provider value={client}>
      <Spoken>
        <Fault>
          <Halves />
        </Fault>
        <Toasts />
        <div ref={announceIn} className="ui-hidden" role="log" aria-live="polite" />
      </Spoken>
    </Provider>
  );
}

function Halves() {
  const who = useWho();
  const texts = useTexts().app;
  if (who === 'somebody') return <Signed />;
  if (who === 'nobody') return <SignIn />;
  return (
    <main className="app-note">
      <Mark size={40} />
      <p role="status" className={who === 'asking' ? 'app-late' : undefined}>
        {who === 'asking' ? texts.starting : texts.away}
      </p>
    </main>
  );
}

function Signed() {
  const texts = useTexts();
  const site = useSite();
  const route = useRoute();
  const isForm = route.name === 'sign-in' || route.name === 'sign-up';
  // Somebody is signed in already: a form would be in the way.
  useEffect(() => {
    if (isForm) go(whereTo(location.search), { replace: true });
  }, [isForm]);
  const id = route.name === 'talk' ? route.id : null;
  const isNarrow = useNarrow();
  const [isListOpen, setListOpen] = useState(false);
  const [isAccountOpen, setAccountOpen] = useState(false);
  const [isHoodOpen, setHoodOpen] = useState(false);
  const openHood = () => {
    setAccountOpen(false);
    setHoodOpen(true);
  };
  useTitle(id);
  useKey('Escape', () => (isNarrow && isListOpen ? setListOpen(false) : false));
  const isDrawer = isNarrow && isListOpen;
  const opener = useRef<HTMLButtonElement>(null);
  const closeList = () => {
    setListOpen(false);
    opener.current?.focus();
  };
  return (
    <div className={isListOpen ? 'app app-open' : 'app'}>
      <a className="app-skip" href="#main">
        {texts.app.skip}
      </a>
      <div className="app-side" inert={isNarrow && !isListOpen}>
        <header className="app-head">
          <Name />
          <IconButton icon="person" label={texts.account.settings} onClick={() => setAccountOpen(true)} />
          {isDrawer && <IconButton icon="close" label={texts.app.closeList} onClick={closeList} />}
        </header>
        <Sidebar current={id} onGo={() => setListOpen(false)} />
      </div>
      {isDrawer && <button type="button" className="app-shade" tabIndex={-1} aria-hidden="true" onClick={closeList} />}
      <div className="app-main" id="main" tabIndex={-1} inert={isDrawer}>
        <header className="app-bar">
          <IconButton
            ref={opener}
            icon="menu"
            label={texts.app.openList}
            aria-expanded={isListOpen}
            onClick={() => setListOpen(true)}
          />
          <Name />
          <IconButton icon="compose" label={texts.app.newTalk} onClick={() => go('/')} />
        </header>
        <Banner />
        <Fault place={id ?? route.name}>
          {route.name === 'unknown' ? <Nowhere /> : <Talk id={id} suggestions={site?.suggestions} onHood={openHood} />}
        </Fault>
      </div>
      <KeyList />
      {isAccountOpen && (
        <Late onGone={() => setAccountOpen(false)}>
          <Account open onClose={() => setAccountOpen(false)} onHood={openHood} />
        </Late>
      )}
      {isHoodOpen && (
        <Late onGone={() => setHoodOpen(false)}>
          <Hood
            open
            onClose={() => setHoodOpen(false)}
            {...(site?.features.includes('graphiql') && { graphiql: '/graphiql/' })}
          />
        </Late>
      )}
    </div>
  );
}

function Name() {
  return (
    <Link to="/" className="app-name">
      <Mark size={22} />
      <bdi>{useSiteName()}</bdi>
    </Link>
  );
}

function Nowhere() {
  const texts = useTexts().app;
  return (
    <main className="app-note">
      <p className="app-note-title">{texts.unknown}</p>
      <Link to="/" className="ui-button ui-button-primary">
        {texts.home}
      </Link>
    </main>
  );
}

function useTitle(id: string | null) {
  const site = useSiteName();
  const name = useRow(id)?.name;
  useEffect(() => {
    document.title = name ? `${name} – ${site}` : site;
  }, [name, site]);
}

const narrow = '(max-width: 48rem)';

function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => matchMedia(narrow).matches);
  useEffect(() => {
    const query = matchMedia(narrow);
    const look = () => setNarrow(query.matches);
    look();
    query.addEventListener('change', look);
    return () => query.removeEventListener('change', look);
  }, []);
  return isNarrow;
}
