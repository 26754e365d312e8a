// The operations as strings with their types, and without the AST that other plugins write: the client reads the text
// itself, and a known document is looked up by it.
import { print, stripIgnoredCharacters, visit } from 'graphql';

const kinds = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' };

export const plugin = (_schema, files) => {
  const definitions = files.flatMap(({ document }) => document.definitions);
  const fragments = new Map(
    definitions.filter(({ kind }) => kind === 'FragmentDefinition').map((fragment) => [fragment.name.value, fragment]),
  );
  const operations = definitions.filter(({ kind }) => kind === 'OperationDefinition');
  return {
    prepend: ["import type { TypedDocumentNode } from 'urql';"],
    content: operations
      .map((operation) => {
        const used = new Set();
        const collect = (node) =>
          visit(node, {
            FragmentSpread({ name }) {
              if (used.has(name.value)) return;
              used.add(name.value);
              collect(fragments.get(name.value));
            },
          });
        collect(operation);
        const text = [operation, ...[...used].map((name) => fragments.get(name))].map(print).join('\n');
        const name = operation.name.value;
        const type = name + kinds[operation.operation];
        return `export const ${name}Document = ${JSON.stringify(stripIgnoredCharacters(text))} as unknown as TypedDocumentNode<${type}, ${type}Variables>;`;
      })
      .join('\n'),
  };
};
