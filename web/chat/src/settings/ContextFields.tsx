// How it is chosen what of a long talk the model reads, and the summary that may stand in for the rest.
import { useId, useState } from 'react';
import { useMutation } from 'urql';
import { DropSummaryDocument, SummarizeTalkDocument } from '../api/generated/documents.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { TextField } from './Fields.tsx';
import type { Filled } from './Fields.tsx';
import { useReading } from './reading.ts';
import type { Summary } from './reading.ts';

const policies = ['', 'TRUNCATE', 'SUMMARIZE', 'LAST_N', 'FULL'] as const;

export function ContextFields({ id, ...filled }: Filled & { id: string | null }) {
  const texts = useTexts().settings;
  const group = useId();
  const { form, problems, change } = filled;
  return (
    <fieldset className="set-group">
      <legend>{texts.context}</legend>
      <p className="ui-hint">{texts.contextHint}</p>
      <div className="set-policies">
        {policies.map((policy) => (
          <label key={policy} className="set-policy">
            <input
              type="radio"
              name={group}
              value={policy}
              checked={form.policy === policy}
              onChange={() => change('policy', policy)}
            />
            <span>
              <span className="set-policy-name">{texts.policies[policy]}</span>
              <span className="set-policy-hint">{texts.policyHints[policy]}</span>
            </span>
          </label>
        ))}
      </div>
      {problems.policy?.kind === 'said' && <p className="ui-error">{problems.policy.phrase}</p>}
      <div className="set-grid">
        {form.policy === 'LAST_N' && (
          <TextField {...filled} numeric name="turns" label={texts.turns} hint={texts.turnsHint} />
        )}
        {form.policy !== '' && form.policy !== 'FULL' && (
          <TextField {...filled} numeric name="limitTokens" label={texts.limitTokens} hint={texts.limitTokensHint} />
        )}
      </div>
      {id !== null && form.policy === 'SUMMARIZE' && <Summaries id={id} />}
    </fieldset>
  );
}

/** The summary that the last reply was made with, and one that is made now. */
function Summaries({ id }: { id: string }) {
  const texts = useTexts().settings;
  const { summary: used } = useReading(id, '');
  const [made, setMade] = useState<Summary | null>(null);
  const [dropped, setDropped] = useState<readonly string[]>([]);
  const [note, setNote] = useState<string | null>(null);
  const [{ fetching }, summarize] = useMutation(SummarizeTalkDocument);
  const [, drop] = useMutation(DropSummaryDocument);
  const shown = [made, used].find((one) => one !== null && !dropped.includes(one.id)) ?? null;

  const make = async () => {
    const { data, error } = await summarize({ input: { conversationId: id } });
    setNote(
      error
        ? (error.graphQLErrors[0]?.message ?? error.message)
        : data?.summarizeConversation.summary
          ? null
          : texts.summaryTooShort,
    );
    if (data?.summarizeConversation.summary) setMade(data.summarizeConversation.summary);
  };
  const remove = async ({ id: summaryId }: Summary) => {
    const { error } = await drop({ input: { summaryId } });
    if (!error || error.graphQLErrors[0]?.extensions.code === 'NOT_FOUND') setDropped([...dropped, summaryId]);
    else setNote(error.graphQLErrors[0]?.message ?? error.message);
  };

  return (
    <div className="set-summary">
      <h3>{texts.summaries}</h3>
      {shown ? (
        <blockquote dir="auto">
          <p>{shown.content}</p>
          <footer>{texts.summaryBy(shown.model ?? '', dateOf(shown.createdAt))}</footer>
        </blockquote>
      ) : (
        <p className="ui-hint">{texts.summaryNone}</p>
      )}
      {note && (
        <p className="ui-hint" role="status">
          {note}
        </p>
      )}
      <div className="set-summary-acts">
        <Button variant="quiet" type="button" busy={fetching} onClick={() => void make()}>
          {texts.summarize}
        </Button>
        {shown && (
          <Button variant="plain" type="button" onClick={() => void remove(shown)}>
            {texts.summaryDelete}
          </Button>
        )}
      </div>
    </div>
  );
}

function dateOf(at: string): string {
  return new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
    dateStyle: 'medium',
    timeStyle: 'short',
  }).format(new Date(at));
}
