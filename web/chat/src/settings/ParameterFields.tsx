// The parameters of the model: those that people change first, and the others behind a fold.
import { useTexts } from '../texts/index.ts';
import { Icon } from '../ui/Icon.tsx';
import { AreaField, ChoiceField, TextField } from './Fields.tsx';
import type { Filled } from './Fields.tsx';
import type { FieldName } from './form.ts';

const folded: FieldName[] = [
  'topP',
  'seed',
  'presencePenalty',
  'frequencyPenalty',
  'stop',
  'responseFormat',
  'schemaName',
  'schema',
];

export function ParameterFields(filled: Filled) {
  const texts = useTexts().settings;
  const { form, problems } = filled;
  const isUsed = folded.some((name) => form[name]);
  const isWrong = folded.some((name) => problems[name]);
  const few = { ...filled, empty: texts.byModel };
  return (
    <fieldset className="set-group">
      <legend>{texts.parameters}</legend>
      <p className="ui-hint">{texts.parametersHint}</p>
      <div className="set-grid">
        <TextField {...few} numeric name="temperature" label={texts.temperature} hint={texts.temperatureHint} />
        <TextField {...few} numeric name="maxTokens" label={texts.maxTokens} hint={texts.maxTokensHint} />
        <ChoiceField {...few} name="reasoningEffort" label={texts.reasoningEffort} options={texts.efforts} />
        <ChoiceField {...few} name="verbosity" label={texts.verbosity} options={texts.lengths} />
      </div>
      <details className="set-more" {...(isWrong ? { open: true } : {})} open={isWrong || undefined}>
        <summary className="ui-fold">
          <Icon name="right" size={16} />
          {texts.more}
          {isUsed && <span className="set-dot" />}
        </summary>
        <div className="set-grid">
          <TextField {...few} numeric name="topP" label={texts.topP} hint={texts.topPHint} />
          <TextField {...few} numeric name="seed" label={texts.seed} hint={texts.seedHint} />
          <TextField {...few} numeric name="presencePenalty" label={texts.presencePenalty} hint={texts.penaltyHint} />
          <TextField {...few} numeric name="frequencyPenalty" label={texts.frequencyPenalty} hint={texts.penaltyHint} />
          <AreaField {...filled} name="stop" label={texts.stop} hint={texts.stopHint} rows={2} code />
          <ChoiceField {...few} name="responseFormat" label={texts.responseFormat} options={texts.formats} />
        </div>
        {form.responseFormat === 'JSON_SCHEMA' && <SchemaFields {...filled} />}
      </details>
    </fieldset>
  );
}

function SchemaFields(filled: Filled) {
  const texts = useTexts().settings;
  return (
    <>
      <TextField {...filled} name="schemaName" label={texts.schemaName} hint={texts.schemaNameHint} />
      <AreaField {...filled} name="schema" label={texts.schema} rows={5} code />
      <label className="set-check">
        <input
          type="checkbox"
          checked={filled.form.strict}
          onChange={(event) => filled.change('strict', event.target.checked)}
        />
        {texts.strict}
      </label>
    </>
  );
}
