import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useState } from 'react';
import { blankHeaders, sendOperation, watchOperation } from './tabs';

/** The content of an editor, as GraphiQL stores it. */
type Text = string | null | undefined;

/** What the page takes from a result to spare the user copying it. */
export interface Found {
  accessToken?: string;
  userName?: string;
  replyId?: string;
}

/** find looks through the root fields of a result, under any alias. */
export function find(result: unknown): Found | undefined {
  const data = (result as { data?: unknown } | null)?.data;
  if (!isRecord(data)) return undefined;
  const found: Found = {};
  for (const field of Object.values(data)) {
    if (!isRecord(field)) continue;
    if (typeof field.accessToken === 'string' && field.accessToken) {
      found.accessToken = field.accessToken;
      if (isRecord(field.user)) found.userName = asText(field.user.email) ?? asText(field.user.name);
    }
    if (isRecord(field.reply)) found.replyId = asText(field.reply.id);
  }
  return found.accessToken || found.replyId ? found : undefined;
}

/**
 * Assistant puts what was found where it is needed next, and says so in the line under the response:
 * an access token into the headers of all tabs, the id of a reply into the variables of the WatchReply tab.
 * It edits nothing that it cannot read as a JSON object.
 */
export function Assistant({ found }: { found: Found | undefined }) {
  const { tabs, activeTabIndex, headerEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    activeTabIndex: state.activeTabIndex,
    headerEditor: state.headerEditor,
  }));
  const { updateActiveTabValues } = useGraphiQLActions();
  const [notice, setNotice] = useState('');

  useEffect(() => {
    if (!found) return;
    const { accessToken, userName, replyId } = found;
    const openTab = tabs[activeTabIndex];
    // GraphiQL has no action that edits a closed tab, and its moveTab, which could, resets the editors of the open
    // one: cursor, undo and the latest keystrokes. So closed tabs are edited in place; the update below stores them.
    for (const tab of tabs) {
      if (tab === openTab) continue;
      if (accessToken) tab.headers = withToken(tab.headers, accessToken);
      if (replyId && tab.title === watchOperation) tab.variables = withId(tab.variables, replyId);
    }
    if (accessToken && headerEditor) {
      const headers = withToken(headerEditor.getValue(), accessToken) ?? '';
      headerEditor.setValue(headers);
      updateActiveTabValues({ headers });
    } else {
      updateActiveTabValues({});
    }

    const has = (title: string) => tabs.some((tab) => tab.title === title);
    if (accessToken) {
      const next = has(sendOperation) ? ` Next: tab ${sendOperation}.` : '';
      setNotice(
        `Signed in${userName ? ` as ${userName}` : ''}. The access token is now in the headers of all tabs.${next}`,
      );
    } else if (has(watchOperation)) {
      setNotice(`The id of the reply is now in the variables of tab ${watchOperation}. Open it and press play.`);
    }
    // Runs once per find, on the tabs of that moment.
  }, [found]);

  // A tab opened later starts with the default headers: give it the token that the others have.
  const openTabId = tabs[activeTabIndex]?.id;
  useEffect(() => {
    const token = tabs.map((tab) => tokenIn(tab.headers)).find(Boolean);
    if (token && headerEditor?.getValue() === blankHeaders) {
      headerEditor.setValue(withToken(blankHeaders, token) ?? blankHeaders);
    }
  }, [openTabId, headerEditor]);

  return (
    <p className="parley-notice" role="status">
      {notice}
    </p>
  );
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

function withId(variables: Text, id: string): Text {
  const parsed = tryObject(variables ?? '{}');
  return parsed ? JSON.stringify({ ...parsed, id }, null, 2) : variables;
}

/** tryObject reads a JSON object; an editor left empty counts as one. */
function tryObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text.trim() || '{}');
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
