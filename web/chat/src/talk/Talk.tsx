// The place of the open conversation.
import { Composer } from '../composer/Composer.tsx';
import { go, pathOf } from '../app/route.ts';

export function Talk({ id }: { id: string | null }) {
  return (
    <main className="app-note">
      <Composer id={id} headId={null} running={null} queuedCount={0} edit={null} onEditDone={() => {}}
        onSent={({ conversationId }) => id ?? go(pathOf(conversationId), { replace: true })} />
    </main>
  );
}
