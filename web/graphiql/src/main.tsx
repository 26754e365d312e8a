import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Assistant, find, type Found } from './assistant';
import { newFetcher } from './fetcher';
import { blankHeaders, startingTabs } from './tabs';

function Page() {
  const [found, setFound] = useState<Found>();
  const [fetcher] = useState(() =>
    newFetcher((result) => {
      const next = find(result);
      if (next) setFound(next);
    }),
  );
  return (
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={startingTabs}
      defaultHeaders={blankHeaders}
      defaultEditorToolsVisibility="variables"
      shouldPersistHeaders
      inputValueDeprecation
      schemaDescription
    >
      <GraphiQL.Logo>
        <span className="parley-logo">Parley</span>
      </GraphiQL.Logo>
      <GraphiQL.Footer>
        <Assistant found={found} />
      </GraphiQL.Footer>
    </GraphiQL>
  );
}

createRoot(document.getElementById('root')!).render(<Page />);
