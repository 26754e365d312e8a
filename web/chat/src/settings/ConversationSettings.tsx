// What the replies of a talk are written with. For a talk that does not exist yet it is kept until the first message.
import { useEffect, useId, useState } from 'react';
import { useClient } from 'urql';
import type { CombinedError } from 'urql';
import { RenameByModelDocument, SaveTalkSettingsDocument, TalkSettingsOfDocument } from '../api/generated/documents.ts';
import { useTexts } from '../texts/index.ts';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import type { Choices } from './choices.ts';
import { ContextFields } from './ContextFields.tsx';
import { AreaField, Frame, TextField } from './Fields.tsx';
import type { Filled } from './Fields.tsx';
import { changesOf, formOf, formOfChoices, problemsOf, readForm } from './form.ts';
import type { FieldName, Form, Problems } from './form.ts';
import { ModelPicker } from './ModelPicker.tsx';
import { ParameterFields } from './ParameterFields.tsx';
import './settings.css';

export interface ConversationSettingsProps {
  id: string | null;
  open: boolean;
  onClose: () => void;
  /** What is chosen for a talk that does not exist yet. */
  choices?: Choices;
  onChoose?: (choices: Choices) => void;
}

export default function Settings({ id, onClose, choices, onChoose }: ConversationSettingsProps) {
  const texts = useTexts().settings;
  const formId = useId();
  const { before, given, filled, refused, isBusy, save, nameByModel } = useSettings(
    id,
    choices ?? {},
    onClose,
    onChoose,
  );
  const footer = (
    <>
      {refused && (
        <p className="ui-error set-refused" role="alert">
          {texts.failed(refused)}
        </p>
      )}
      <Button variant="plain" type="button" onClick={onClose}>
        {texts.cancel}
      </Button>
      <Button variant="primary" type="submit" form={formId} busy={isBusy} disabled={before === null}>
        {texts.save}
      </Button>
    </>
  );
  return (
    <Dialog open onClose={onClose} title={id === null ? texts.titleNew : texts.title} footer={footer}>
      {before === null || filled === null ? (
        <p className="set-loading" role="status">
          {texts.loading}
        </p>
      ) : (
        <form
          id={formId}
          className="set-form"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            event.stopPropagation();
            void save();
          }}
        >
          <TextField {...filled} name="name" label={texts.name} hint={texts.nameHint} empty={given} />
          {id !== null && (
            <button type="button" className="comp-link set-by-model" onClick={() => void nameByModel()}>
              {texts.nameByModel}
            </button>
          )}
          <Frame label={texts.model} problem={filled.problems.model}>
            {() => <ModelPicker wide value={filled.form.model} onChange={(model) => filled.change('model', model)} />}
          </Frame>
          <AreaField
            {...filled}
            name="systemPrompt"
            label={texts.systemPrompt}
            hint={texts.systemPromptHint}
            rows={4}
          />
          <ParameterFields {...filled} />
          <ContextFields {...filled} id={id} />
        </form>
      )}
    </Dialog>
  );
}

function useSettings(id: string | null, choices: Choices, onClose: () => void, onChoose?: (choices: Choices) => void) {
  const client = useClient();
  const [before, setBefore] = useState<Form | null>(id === null ? formOfChoices(choices) : null);
  const [form, setForm] = useState<Form | null>(before);
  const [problems, setProblems] = useState<Problems>({});
  const [refused, setRefused] = useState<string | null>(null);
  const [given, setGiven] = useState('');
  const [isBusy, setBusy] = useState(false);

  useEffect(() => {
    if (id === null) return;
    let isOver = false;
    void client
      .query(TalkSettingsOfDocument, { id }, { requestPolicy: 'network-only' })
      .toPromise()
      .then(({ data, error }) => {
        if (isOver) return;
        if (error) setRefused(messageOf(error));
        const settings = data?.conversation;
        if (!settings) return;
        const loaded = formOf(settings, settings.nameSource !== 'PLACEHOLDER');
        setGiven(settings.name);
        setBefore(loaded);
        setForm(loaded);
      });
    return () => {
      isOver = true;
    };
  }, [client, id]);

  const change = <N extends FieldName>(name: N, value: Form[N]) => {
    setForm((form) => form && { ...form, [name]: value });
    setProblems(({ [name]: _, ...rest }) => rest);
  };

  const fail = (error: CombinedError) => {
    const fields = error.graphQLErrors[0]?.extensions.fields as Record<string, string> | undefined;
    const { problems, rest } = problemsOf(fields ?? {});
    setProblems(problems);
    if (rest.length > 0 || Object.keys(problems).length === 0) setRefused(messageOf(error));
    focusFirst();
  };

  const save = async () => {
    if (!form || !before || isBusy) return;
    setRefused(null);
    const { problems, parameters, context } = readForm(form);
    setProblems(problems);
    if (Object.keys(problems).length > 0) return focusFirst();
    if (id === null) {
      const { model } = form;
      onChoose?.({
        name: form.name.trim() || null,
        model,
        systemPrompt: form.systemPrompt || null,
        parameters,
        context,
      });
      return onClose();
    }
    const changes = changesOf(before, form);
    if (Object.keys(changes).length === 0) return onClose();
    setBusy(true);
    const { error } = await client.mutation(SaveTalkSettingsDocument, { input: { conversationId: id, ...changes } });
    setBusy(false);
    if (error) fail(error);
    else onClose();
  };

  const nameByModel = async () => {
    if (id === null) return;
    const { data, error } = await client.mutation(RenameByModelDocument, { input: { conversationId: id } });
    if (error) return setRefused(messageOf(error));
    const name = data?.regenerateName.conversation.name ?? '';
    setBefore((form) => form && { ...form, name });
    change('name', name);
  };

  const filled: Filled | null = form && { form, problems, change };
  return { before, given, filled, refused, isBusy, save, nameByModel };
}

/** The eye and the keyboard go to the first field that is wrong. */
function focusFirst() {
  requestAnimationFrame(() => document.querySelector<HTMLElement>('.set-form [aria-invalid]')?.focus());
}

function messageOf(error: CombinedError): string {
  return error.graphQLErrors[0]?.message ?? error.networkError?.message ?? error.message;
}
