import {
  Kind,
  parse,
  valueFromASTUntyped,
  type DocumentNode,
  type FieldNode,
  type OperationDefinitionNode,
} from 'graphql';

export type Fields = Record<string, unknown>;

/** tryParse leaves the report of a syntax error to the server, whose message the user should see. */
export function tryParse(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}

export function operationOf(document: DocumentNode, name?: string | null): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  return operations.length === 1 ? operations[0] : operations.find((node) => node.name?.value === name);
}

/** rootFields are those that an operation names itself, not through fragments. */
export function rootFields(operation: OperationDefinitionNode): FieldNode[] {
  return operation.selectionSet.selections.filter((node) => node.kind === Kind.FIELD);
}

/** inputOf returns the value of a field's argument input, with the variables filled in. */
export function inputOf(field: FieldNode, variables: Fields): Fields {
  const argument = field.arguments?.find(({ name }) => name.value === 'input');
  const value: unknown = argument && valueFromASTUntyped(argument.value, variables);
  return isRecord(value) ? value : {};
}

/** withInput returns a document in which texts of a root field's literal input are replaced, and nothing else is. */
export function withInput(query: string, name: string, texts: Record<string, string>): string | undefined {
  const document = tryParse(query);
  const operation = document && operationOf(document);
  const field = operation && rootFields(operation).find((field) => field.name.value === name);
  const input = field?.arguments?.find((argument) => argument.name.value === 'input')?.value;
  if (input?.kind !== Kind.OBJECT) return undefined;
  let edited = query;
  // From the last to the first, so that the places before it stay where they are.
  for (const { name, value } of input.fields.toReversed()) {
    const text = texts[name.value];
    if (text === undefined || value.kind !== Kind.STRING || !value.loc) continue;
    edited = edited.slice(0, value.loc.start) + JSON.stringify(text) + edited.slice(value.loc.end);
  }
  return edited;
}

/** tryObject reads a JSON object; an editor left empty counts as one. */
export function tryObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text.trim() || '{}');
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
