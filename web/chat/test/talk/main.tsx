// The open talk on a page of its own, for its tests, without the rest of the chat page.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { client } from '../../src/api/client.ts';
import { session } from '../../src/api/session.ts';
import { announceIn } from '../../src/app/announce.ts';
import { useRoute } from '../../src/app/route.ts';
import { Talk } from '../../src/talk/Talk.tsx';
import { Toasts } from '../../src/ui/toast.tsx';
import '../../src/styles/tokens.css';
import '../../src/styles/base.css';

function Page() {
  const route = useRoute();
  return (
    <>
      <Talk id={route.name === 'talk' ? route.id : null} />
      <Toasts />
      <div ref={announceIn} role="log" className="ui-hidden" />
    </>
  );
}

async function start() {
  const search = new URLSearchParams(location.search);
  const [email = '', ...words] = (search.get('as') ?? '').split(' ');
  const password = words.join(' ');
  if ((await session.token()) === null) await session.signIn({ email, password });
  history.replaceState(null, '', search.get('at') ?? '/');
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <Provider value={client}>
        <Page />
      </Provider>
    </StrictMode>,
  );
}

void start();
