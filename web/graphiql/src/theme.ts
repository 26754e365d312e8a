/** What defineThemes needs of Monaco, whose types are not those of this package. */
interface Monaco {
  editor: { defineTheme(name: string, theme: Theme): void };
}

interface Theme {
  base: 'vs' | 'vs-dark';
  inherit: boolean;
  colors: Record<string, string>;
  rules: { token: string; foreground: string }[];
}

type Kind = 'light' | 'dark';

/** The themes of the editors, by GraphiQL's themes of the page. */
export const editorTheme = { light: 'parley-light', dark: 'parley-dark' } as const;

/** defineThemes makes known to Monaco what editorTheme names: GraphiQL's colours, where they can be read. */
export function defineThemes(monaco: Monaco): void {
  monaco.editor.defineTheme(editorTheme.light, {
    base: 'vs',
    inherit: true,
    colors: colors('light'),
    rules: [
      { token: 'argument.identifier.gql', foreground: '#5f5bc9' },
      { token: 'number', foreground: '#076b46' },
    ],
  });
  monaco.editor.defineTheme(editorTheme.dark, {
    base: 'vs-dark',
    inherit: true,
    colors: colors('dark'),
    rules: [
      { token: 'argument.identifier.gql', foreground: '#a5a0ff' },
      { token: 'comment', foreground: '#8cbf78' },
    ],
  });
}

function colors(kind: Kind): Record<string, string> {
  const of = (light: string, dark: string) => (kind === 'light' ? light : dark);
  const transparent = '#ffffff00';
  const background = of('#ffffffff', '#212a3b');
  const primary = of('#bd057f', '#ff5794');
  const faintPrimary = of('#bd057f19', '#ff579419');
  return {
    'editor.background': transparent,
    'scrollbar.shadow': transparent,
    'textLink.foreground': primary,
    'textLink.activeForeground': primary,
    'editorLink.activeForeground': primary,
    'editorHoverWidget.background': background,
    'list.hoverBackground': faintPrimary,
    'list.highlightForeground': primary,
    'list.focusHighlightForeground': primary,
    'menu.background': background,
    'menu.selectionBackground': faintPrimary,
    'menu.selectionForeground': primary,
    'editorSuggestWidget.background': background,
    'editorSuggestWidget.selectedBackground': faintPrimary,
    'editorSuggestWidget.selectedForeground': primary,
    'quickInput.background': background,
    'quickInputList.focusBackground': faintPrimary,
    'quickInputList.focusForeground': of('#444444', '#ffffff'),
    'editorWidget.background': background,
    'editorWidget.resizeBorder': primary,
    'input.background': of('#3b4b6811', '#b7c2d711'),
    focusBorder: primary,
    'toolbar.hoverBackground': faintPrimary,
    'inputOption.hoverBackground': faintPrimary,
    'pickerGroup.foreground': primary,
  };
}
