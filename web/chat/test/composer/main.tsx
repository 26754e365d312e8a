// The composer on a page of its own, with the least of a talk above it, for its tests.
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { client } from '../../src/api/client.ts';
import { session } from '../../src/api/session.ts';
import { Composer } from '../../src/composer/Composer.tsx';
import '../../src/styles/tokens.css';
import '../../src/styles/base.css';
import './page.css';

interface Line {
  id: string;
  role: string;
  status: string;
  content: string;
}

interface Talk {
  headId: string;
  runningReply: { id: string; status: string } | null;
  queuedReplies: { id: string }[];
  messages: { nodes: Line[] };
}

const fields = `headId runningReply { id status } queuedReplies { id } messages(last: 20) { nodes { id role status content } }`;
const ask = `query TalkOfTest($id: ID!) { conversation(id: $id) { ${fields} } }`;
const follow = `subscription FollowOfTest($id: ID!) { conversationEvents(conversationId: $id) { __typename } }`;

/** What the page shows of a talk, fetched again whenever something happens in it. */
function useTalk(id: string | null): Talk | null {
  const [talk, setTalk] = useState<Talk | null>(null);
  useEffect(() => {
    setTalk(null);
    if (id === null) return;
    const abort = new AbortController();
    const load = async () => {
      const { conversation } = await session.run<{ conversation: Talk }>(ask, { id });
      if (!abort.signal.aborted) setTalk(conversation);
    };
    const run = async () => {
      for await (const _ of session.subscribe(follow, { id }, { signal: abort.signal })) await load().catch(() => {});
    };
    run().catch(() => {});
    return () => abort.abort();
  }, [id]);
  return talk;
}

function Page() {
  const [id, setId] = useState(() => location.hash.slice(1) || null);
  const [edit, setEdit] = useState<{ messageId: string; content: string } | null>(null);
  const talk = useTalk(id);
  // A page that is behind what happens elsewhere, for what a send is refused for: it sees nothing new, or not that a
  // reply is being written.
  const [frozen, setFrozen] = useState<Talk | null>(null);
  const [isBlind, setBlind] = useState(false);
  const seen = frozen ?? talk;
  return (
    <>
      <header>
        <button type="button" onClick={() => setFrozen(frozen ? null : talk)}>
          {frozen ? 'Go on' : 'Freeze'}
        </button>
        <button type="button" onClick={() => setBlind(!isBlind)}>
          {isBlind ? 'See' : 'Blind'}
        </button>
      </header>
      <ol>
        {seen?.messages.nodes
          .filter(({ role }) => role !== 'SYSTEM')
          .map(({ id: messageId, role, status, content }) => (
            <li
              key={messageId}
              className={role}
              data-status={status}
              onDoubleClick={() => setEdit({ messageId, content })}
            >
              {content}
            </li>
          ))}
      </ol>
      <Composer
        id={id}
        headId={seen?.headId ?? null}
        running={(!isBlind && seen?.runningReply) || null}
        edit={edit}
        queuedCount={seen?.queuedReplies.length ?? 0}
        onEditDone={() => setEdit(null)}
        onShowNew={() => setFrozen(null)}
        onSent={({ conversationId }) => {
          location.hash = conversationId;
          setId(conversationId);
        }}
      />
    </>
  );
}

async function start() {
  const query = new URLSearchParams(location.search);
  const [email, password] = [query.get('email'), query.get('password')];
  if (!session.signedIn && email && password) {
    await session.signIn({ email, password }).catch(() => session.signUp({ email, password }));
  }
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <Provider value={client}>
        <Page />
      </Provider>
    </StrictMode>,
  );
}

void start();
