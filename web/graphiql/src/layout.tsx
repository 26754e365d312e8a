import { useGraphiQL, useMonaco } from '@graphiql/react';
import { useEffect } from 'react';
import { defineThemes, editorTheme } from './theme';

/** The width below which the page stacks its panes; page.css has the same. */
const narrow = '(max-width: 800px)';

/** Layout mends what GraphiQL leaves open for screen readers and for narrow screens. It shows nothing itself. */
export function Layout() {
  const { queryEditor, variableEditor, headerEditor, responseEditor } = useGraphiQL((state) => ({
    queryEditor: state.queryEditor,
    variableEditor: state.variableEditor,
    headerEditor: state.headerEditor,
    responseEditor: state.responseEditor,
  }));

  const theme = useGraphiQL((state) => state.theme);
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    if (!monaco) return;
    defineThemes(monaco);
    // GraphiQL has set it before it was known.
    const isDark = window.matchMedia('(prefers-color-scheme: dark)').matches;
    monaco.editor.setTheme(editorTheme[theme ?? (isDark ? 'dark' : 'light')]);
  }, [monaco, theme]);

  // On a telephone forty letters fit into a line, if nothing else stands in it.
  useEffect(() => {
    const query = window.matchMedia(narrow);
    const apply = () => {
      const fontSize = query.matches ? 12 : 15;
      for (const editor of [queryEditor, variableEditor, headerEditor]) {
        editor?.updateOptions(
          query.matches
            ? { fontSize, lineNumbers: 'off', wordWrap: 'on', folding: false }
            : { fontSize, lineNumbers: 'on', wordWrap: 'off', folding: true },
        );
      }
      responseEditor?.updateOptions({ fontSize });
    };
    apply();
    query.addEventListener('change', apply);
    return () => query.removeEventListener('change', apply);
  }, [queryEditor, variableEditor, headerEditor, responseEditor]);

  useEffect(() => {
    const list = document.querySelector('.graphiql-tabs');
    const session = document.querySelector('#graphiql-session');
    if (!list || !session) return;
    const mend = () => mendRoles(list, session);
    mend();
    const observer = new MutationObserver(mend);
    observer.observe(list, { subtree: true, childList: true, attributes: true });
    observer.observe(session, { attributes: true });
    return () => observer.disconnect();
  }, []);
  return null;
}

/**
 * mendRoles gives the page the roles that it lacks. GraphiQL's tabs hold two buttons each, one of which closes the tab:
 * that is a list of buttons, and none of the tabs of ARIA, inside of which nothing may be pressed.
 */
function mendRoles(list: Element, session: Element): void {
  set(session.closest('.graphiql-main'), 'role', 'main');
  set(session, 'role', null);
  set(session, 'aria-labelledby', null);
  set(list, 'role', null);
  for (const tab of list.querySelectorAll('.graphiql-tab')) {
    set(tab, 'role', null);
    set(tab, 'aria-selected', null);
    const isOpen = tab.classList.contains('graphiql-tab-active');
    set(tab.querySelector('.graphiql-tab-button'), 'aria-current', isOpen ? 'true' : null);
  }
}

/** set changes nothing that is right already, and so does not call itself through the observer. */
function set(element: Element | null, name: string, value: string | null): void {
  if (!element || element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}
