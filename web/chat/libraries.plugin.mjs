// What the page takes of libraries that come as a whole.

/** What a model may not do: links and pictures in a formula. Their source is shown, as for any unknown command. */
const withoutLinks = (code) => code.replace(/import ".\/functions\/(html|includegraphics)";/g, '');

/** lexerOnly cuts off what makes HTML of tokens: a fifth of marked, which no bundler can take away. */
function lexerOnly(code) {
  const [lexer, tokenizer, renderer] = ['Lexer', 'Tokenizer', 'Renderer'].map(
    (name) => new RegExp(`[{,](\\w+) as ${name}[,}]`).exec(code)?.[1],
  );
  const end = code.indexOf(`var ${renderer}=class{`);
  if (!lexer || !tokenizer || end < 0) throw new Error('marked is not as it was: what of it makes HTML?');
  return `${code.slice(0, end)}export{${lexer} as Lexer,${tokenizer} as Tokenizer}`;
}

/** asModule is for packages of Temml, which are written for a page with a global of its name. */
const asModule = (code) =>
  `import define from 'temml/src/defineMacro.js'; const temml = { __defineMacro: define };${code.replace('\ufeff', '')}`;

const changes = [
  [/\/marked\/lib\/marked\.esm\.js$/, lexerOnly],
  [/\/temml\/src\/functions\.js$/, withoutLinks],
  [/\/temml\/contrib\/.*\.js$/, asModule],
];

export const libraries = {
  name: 'libraries',
  transform: (code, id) => changes.find(([path]) => path.test(id))?.[1](code),
};
