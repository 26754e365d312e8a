// The page of the test: it shows one text after another.
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { Markdown } from '../../src/markdown/Markdown.tsx';

const root = createRoot(document.getElementById('root')!);
Object.assign(window, {
  show: (text: string, growing: boolean) => {
    const key = `${text.length} ${growing}`;
    flushSync(() => root.render(<Markdown key={key} text={text} growing={growing} />));
  },
});
