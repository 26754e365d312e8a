import { createGraphiQLFetcher, type Fetcher, type FetcherParams } from '@graphiql/toolkit';
import { Kind, parse, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import { createClient, type Client } from 'graphql-ws';

type Headers = Record<string, unknown>;

/** The endpoint, relative to the page, so that a proxy may serve both under any path. */
const endpoint = new URL('../graphql', window.location.href);

/** Root fields that work without an account; a stale token must not get in their way. */
const publicFields = new Set(['signUp', 'signIn', 'refreshSession', '__schema', '__type', '__typename']);

/**
 * newFetcher returns what GraphiQL calls to run an operation: queries and mutations over HTTP,
 * subscriptions over graphql-ws with one client per header set. onResult sees every HTTP result.
 */
export function newFetcher(onResult: (result: unknown) => void): Fetcher {
  const http = createGraphiQLFetcher({ url: endpoint.href, enableIncrementalDelivery: false });
  const clients = new Map<string, Client>();

  // The type of a fetcher cannot say "a promise of a result or of a stream", which is what GraphiQL takes.
  return (async (params, opts) => {
    const document = tryParse(params.query);
    const operation = document && operationOf(document, params.operationName);
    const headers = headersFor(operation, opts?.headers ?? {});
    // GraphiQL derives the operation name a moment after an edit; the name in the document is never late.
    const request = operation ? { ...params, operationName: operation.name?.value } : params;

    if (operation?.operation === 'subscription') {
      const key = JSON.stringify(headers);
      let client = clients.get(key);
      if (!client) {
        client = newClient(headers);
        clients.set(key, client);
      }
      return subscribe(client, request);
    }
    const result = await http(request, { headers });
    onResult(result);
    return result;
  }) as Fetcher;
}

function newClient(headers: Headers): Client {
  const url = new URL(endpoint);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return createClient({
    url: url.href,
    connectionParams: headers,
    lazy: true,
    // The default gives up at the first failed reconnect, for example while the server restarts. Only a refused
    // token (4403) is final: these headers never change, so a retry would only hide the reason from the user.
    shouldRetry: (error) => closeCode(error) !== 4403,
  });
}

function subscribe(client: Client, { query, variables, operationName }: FetcherParams): AsyncIterableIterator<unknown> {
  const events = client.iterate({ query, variables, operationName });
  // Not an async generator: its return() would wait for the next event, so Stop would not stop a silent stream.
  return {
    next: () => events.next().catch((error: unknown) => Promise.reject(readable(error))),
    return: () => events.return!(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/**
 * readable turns what a WebSocket fails with into what GraphiQL prints well: of an Error it would print the stack too.
 */
function readable(error: unknown): unknown {
  const code = closeCode(error);
  if (code === 4403) {
    return { message: 'The server refused the access token (4403). Sign in again, then press play.' };
  }
  if (code !== undefined) {
    return { message: `The WebSocket was closed: ${code} ${(error as CloseEvent).reason}`.trim() };
  }
  return error instanceof Event ? { message: `No WebSocket connection to ${endpoint.host}.` } : error;
}

function closeCode(error: unknown): number | undefined {
  return error instanceof CloseEvent ? error.code : undefined;
}

/** headersFor drops an Authorization header that is still empty, or that the operation does not need. */
function headersFor(operation: OperationDefinitionNode | undefined, headers: Headers): Headers {
  const isPublic = operation?.selectionSet.selections.every(
    (field) => field.kind === Kind.FIELD && publicFields.has(field.name.value),
  );
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name, value]) =>
        name.toLowerCase() !== 'authorization' || !(isPublic || /^\s*(Bearer\s*)?$/i.test(String(value))),
    ),
  );
}

function operationOf(document: DocumentNode, name?: string | null): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  return operations.length === 1 ? operations[0] : operations.find((node) => node.name?.value === name);
}

/** tryParse leaves the report of a syntax error to the server, whose message the user should see. */
function tryParse(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}
