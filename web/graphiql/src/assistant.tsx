import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useState } from 'react';
import { asText, tryObject, withInput, type Fields } from './documents';
import type { Found } from './found';
import { sessionOf, userOf, type Change, type Sessions } from './session';
import {
  blankHeaders,
  conversationOperations,
  deleteSummaryOperation,
  messageOperations,
  replyOperations,
  sendOperation,
  signInOperation,
  watchOperation,
} from './tabs';

/** The content of an editor, as GraphiQL stores it. */
type Text = string | null | undefined;

/** A tab, as far as it is edited here. */
interface Tab {
  title: string;
  query: Text;
  headers?: Text;
  variables?: Text;
}

/** What an editor of a tab is to hold instead. Undefined leaves it alone. */
interface Edit {
  headers?: Text;
  variables?: Text;
  query?: string;
}

/** What the line under the response says, and the tab that its button opens. */
interface Notice {
  text: string;
  next?: string;
}

/**
 * Assistant puts what was found where it is needed next, and says so in the line under the response: an access token
 * into the headers of all tabs, the ids of a conversation, its messages and a summary into the variables of the tabs
 * about one, an address that has an account into the tab SignIn. Tokens that have been renewed follow in the headers.
 * All that it does can be seen and copied. It edits nothing that it cannot read.
 */
export function Assistant({ found, sessions }: { found: Found | undefined; sessions: Sessions }) {
  const { tabs, activeTabIndex, headerEditor, variableEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    activeTabIndex: state.activeTabIndex,
    headerEditor: state.headerEditor,
    variableEditor: state.variableEditor,
  }));
  const { updateActiveTabValues, changeTab } = useGraphiQLActions();
  const [notice, setNotice] = useState<Notice>({ text: '' });
  const openTab = tabs[activeTabIndex];

  function edit(change: (tab: Tab) => Edit): void {
    // GraphiQL has no action that edits a closed tab, and its moveTab, which could, resets the editors of the open
    // one: cursor, undo and the latest keystrokes. So closed tabs are edited in place; the update below stores them.
    for (const tab of tabs) {
      if (tab !== openTab) Object.assign(tab, defined(change(tab)));
    }
    if (!openTab || !headerEditor || !variableEditor) return;
    const before = { headers: headerEditor.getValue(), variables: variableEditor.getValue() };
    const { headers, variables } = change({ ...openTab, ...before });
    if (headers != null && headers !== before.headers) headerEditor.setValue(headers);
    if (variables != null && variables !== before.variables) variableEditor.setValue(variables);
    updateActiveTabValues(defined({ headers, variables }));
  }

  useEffect(() => {
    if (!found) return;
    const isAnother = found.accessToken !== undefined && isOfAnother(found.accessToken, tabs);
    edit((tab) => editFor(tab, found, isAnother));
    const next = noticeFor(found, (title) => tabs.some((tab) => tab.title === title));
    if (next) setNotice(next);
    // Runs once per find, on the tabs of that moment.
  }, [found]);

  useEffect(() =>
    sessions.onChange(({ sessionId, accessToken }: Change) => {
      edit((tab) => {
        const known = tokenIn(tab.headers);
        if (!known || known === accessToken || sessionOf(known) !== sessionId) return {};
        return { headers: withToken(tab.headers, accessToken ?? '') };
      });
      if (accessToken === undefined) setNotice(overNotice);
    }),
  );

  // A tab opened later starts with the default headers: give it the token that the others have.
  useEffect(() => {
    const token = tabs.map((tab) => tokenIn(tab.headers)).find(Boolean);
    if (token && headerEditor?.getValue() === blankHeaders) {
      headerEditor.setValue(withToken(blankHeaders, token) ?? blankHeaders);
    }
  }, [openTab?.id, headerEditor]);

  const next = notice.next ? tabs.findIndex((tab) => tab.title === notice.next) : -1;
  return (
    <div className="parley-notice">
      <p role="status">{notice.text}</p>
      {next >= 0 && next !== activeTabIndex && (
        <button type="button" onClick={() => changeTab(next)}>
          Open {notice.next}
        </button>
      )}
    </div>
  );
}

const overNotice: Notice = { text: 'The session is over. Sign in again to go on.', next: signInOperation };

function editFor(tab: Tab, found: Found, isAnother: boolean): Edit {
  const edit: Edit = {};
  if (found.accessToken) edit.headers = withToken(tab.headers, found.accessToken);
  const put = (name: string, id: string | undefined, isGone: boolean, none: string | undefined) => {
    if (id) edit.variables = withVariables(tab.variables, { [name]: id });
    else if (isGone) edit.variables = withVariables(tab.variables, { [name]: none });
  };
  if (replyOperations.includes(tab.title)) put('id', found.replyId, isAnother, '');
  const message = messageOperations[tab.title];
  if (message) put('messageId', found[message], isAnother, '');
  if (tab.title === deleteSummaryOperation) put('summaryId', found.summaryId, isAnother, '');
  const isSend = tab.title === sendOperation;
  if (isSend || conversationOperations.includes(tab.title)) {
    const now = tryObject(tab.variables ?? '')?.conversationId;
    const isGone = isAnother || (found.deletedConversationId !== undefined && found.deletedConversationId === now);
    put('conversationId', found.conversationId, isGone, isSend ? undefined : '');
  }
  if (tab.title === signInOperation && found.taken) {
    edit.query = withInput(tab.query ?? '', 'signIn', { ...found.taken });
  }
  return edit;
}

function noticeFor(found: Found, has: (title: string) => boolean): Notice | undefined {
  if (found.taken) {
    const text = `There is an account for ${found.taken.email} already.`;
    return has(signInOperation)
      ? { text: `${text} Tab SignIn is filled in with it: open it and press play.`, next: signInOperation }
      : { text: `${text} Use signIn instead of signUp.` };
  }
  if (found.accessToken) {
    const who = found.userName ? ` as ${found.userName}` : '';
    const renews = found.refreshToken ? ', and renews itself' : '';
    const text = `Signed in${who}. The access token is now in the headers of all tabs${renews}.`;
    return { text, next: sendOperation };
  }
  if (found.signedOut) return { text: 'Signed out.', next: signInOperation };
  if (found.replyId && has(watchOperation)) {
    const goOn = found.conversationId && has(sendOperation) ? ' The next message goes to the same conversation.' : '';
    return {
      text: `The id of the reply is now in the variables of tab WatchReply. Open it and press play.${goOn}`,
      next: watchOperation,
    };
  }
  if (found.conversationId && has(sendOperation)) {
    return { text: 'The next message of tab SendMessage goes to this conversation.', next: sendOperation };
  }
  return undefined;
}

/** isOfAnother tells whether a token is of another user than those that the tabs have. */
function isOfAnother(token: string, tabs: { headers?: Text }[]): boolean {
  return tabs.some((tab) => {
    const known = tokenIn(tab.headers);
    return known !== undefined && userOf(known) !== userOf(token);
  });
}

function tokenIn(headers: Text): string | undefined {
  return /^Bearer\s+(\S+)$/.exec(asText(tryObject(headers ?? '')?.Authorization) ?? '')?.[1];
}

function withToken(headers: Text, token: string): Text {
  const parsed = tryObject(headers ?? blankHeaders);
  if (!parsed) return headers;
  const others = Object.entries(parsed).filter(([name]) => name.toLowerCase() !== 'authorization');
  return JSON.stringify({ Authorization: `Bearer ${token}`, ...Object.fromEntries(others) }, null, 2);
}

function withVariables(variables: Text, values: Fields): Text {
  const parsed = tryObject(variables ?? '{}');
  return parsed ? JSON.stringify({ ...parsed, ...values }, null, 2) : variables;
}

/** defined leaves out what is undefined, which would empty an editor. */
function defined(edit: Edit): Edit {
  return Object.fromEntries(Object.entries(edit).filter(([, value]) => value !== undefined));
}
