import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { takeAsked, type Asked } from './asked';
import { Assistant } from './assistant';
import { newFetcher } from './fetcher';
import { find, type Found } from './found';
import { Layout } from './layout';
import { Sessions } from './session';
import { blankHeaders, startingTabs } from './tabs';
import { editorTheme } from './theme';

function Page({ sessions, asked }: { sessions: Sessions; asked: Asked | undefined }) {
  const [found, setFound] = useState<Found>();
  const [fetcher] = useState(() =>
    newFetcher(sessions, (request, result, token) => {
      const next = find(request, result);
      if (!next) return;
      if (next.accessToken && next.refreshToken) sessions.take(next.accessToken, next.refreshToken);
      if (next.signedOut && token) sessions.drop(token);
      setFound(next);
    }),
  );
  return (
    <>
      <header className="parley-title">
        <h1>Parley GraphiQL</h1>
      </header>
      <GraphiQL
        fetcher={fetcher}
        defaultTabs={asked ? [{ ...asked, headers: blankHeaders }, ...startingTabs] : startingTabs}
        initialQuery={asked?.query}
        initialVariables={asked && (asked.variables ?? '')}
        defaultHeaders={blankHeaders}
        editorTheme={editorTheme}
        defaultEditorToolsVisibility="variables"
        shouldPersistHeaders
        inputValueDeprecation
        schemaDescription
      >
        <GraphiQL.Logo>
          <span className="parley-logo">Parley</span>
        </GraphiQL.Logo>
        <GraphiQL.Footer>
          <Assistant found={found} sessions={sessions} />
          <Layout />
        </GraphiQL.Footer>
      </GraphiQL>
    </>
  );
}

createRoot(document.getElementById('root')!).render(<Page sessions={new Sessions()} asked={takeAsked()} />);
