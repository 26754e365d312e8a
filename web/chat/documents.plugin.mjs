// The operations as strings with their types, and without the AST that other plugins write: the client reads the text
// itself, and a known document is looked up by it.
import { createHash } from 'node:crypto';
import { Kind, print, stripIgnoredCharacters, visit } from 'graphql';

const kinds = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' };

const typename = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };

/** What the cache asks for in addition: a known document is run as it is known. */
const withTypenames = (document) =>
  visit(document, {
    SelectionSet(node, _key, parent) {
      if (parent.kind === 'OperationDefinition') return;
      if (node.selections.some((selection) => selection.name?.value === '__typename' && !selection.alias)) return;
      return { ...node, selections: [...node.selections, typename] };
    },
  });

export const plugin = (_schema, files) => {
  const definitions = files.flatMap(({ document }) => withTypenames(document).definitions);
  const fragments = new Map(
    definitions.filter(({ kind }) => kind === 'FragmentDefinition').map((fragment) => [fragment.name.value, fragment]),
  );
  const operations = definitions.filter(({ kind }) => kind === 'OperationDefinition');
  const ids = {};
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
        const printed = [operation, ...[...used].map((name) => fragments.get(name))].map(print).join('\n');
        const text = stripIgnoredCharacters(printed);
        const name = operation.name.value;
        ids[name] = createHash('sha256').update(text).digest('hex').slice(0, 16);
        const type = name + kinds[operation.operation];
        return `export const ${name}Document = ${JSON.stringify(text)} as unknown as TypedDocumentNode<${type}, ${type}Variables>;`;
      })
      .join('\n')
      .concat(`\n\nexport const documentIds: Record<string, string> = ${JSON.stringify(ids, null, 2)};\n`),
  };
};
