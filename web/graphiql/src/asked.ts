import { Kind, parse, print } from 'graphql';
import { operationOf, rootFields } from './documents';

/** Longer addresses are taken for mistakes. The chat page makes none. */
const maxLength = 64_000;

/** An operation that a link has brought. */
export interface Asked {
  query: string;
  variables: string | null;
}

/**
 * takeAsked reads the operation in the fragment of the address, as in #query=…&variables=…, and takes it out of there.
 * It is shown in a tab, and runs when somebody presses play. Headers are not taken from an address.
 */
export function takeAsked(): Asked | undefined {
  const { hash, pathname, search } = window.location;
  const fields = new URLSearchParams(hash.slice(1));
  const query = fields.get('query');
  if (query === null) return undefined;
  window.history.replaceState(null, '', pathname + search);
  if (!query.trim() || hash.length > maxLength) return undefined;
  const variables = fields.get('variables');
  return { query: readable(query, named), variables: variables && readable(variables, indented) };
}

/** named sets out a document. A tab is called by its operation: one without a name gets that of its first field. */
function named(text: string): string {
  const document = parse(text);
  const operation = operationOf(document);
  const field = operation && !operation.name && rootFields(operation)[0];
  if (!field) return print(document);
  const name = { kind: Kind.NAME, value: field.name.value } as const;
  const definitions = document.definitions.map((one) => (one === operation ? { ...operation, name } : one));
  return print({ ...document, definitions });
}

const indented = (text: string) => JSON.stringify(JSON.parse(text), null, 2);

/** readable sets a text out for a person; one that has a fault is shown as it is. */
function readable(text: string, setOut: (text: string) => string): string {
  try {
    return setOut(text);
  } catch {
    return text;
  }
}
