import { createGraphiQLFetcher, type Fetcher, type FetcherParams } from '@graphiql/toolkit';
import type { OperationDefinitionNode } from 'graphql';
import { createClient, type Client } from 'graphql-ws';
import { isRecord, operationOf, tryParse } from './documents';
import type { Request } from './found';
import { endpoint, sessionOf, type Sessions } from './session';

type Headers = Record<string, unknown>;

/** Root fields that work without an account; a stale token must not get in their way. */
const publicFields = new Set(['signUp', 'signIn', 'refreshSession', '__schema', '__type', '__typename']);

/**
 * newFetcher returns what GraphiQL calls to run an operation: queries and mutations over HTTP, subscriptions over
 * graphql-ws with one client per header set. Tokens of sessions are replaced before they end, and when the server
 * refuses them all the same. onResult sees every HTTP result, and the token that it was asked with.
 */
export function newFetcher(
  sessions: Sessions,
  onResult: (request: Request, result: unknown, token: string | undefined) => void,
): Fetcher {
  const http = createGraphiQLFetcher({ url: endpoint.href, enableIncrementalDelivery: false });
  const clients = new Map<string, Client>();

  async function ask(request: FetcherParams, headers: Headers): Promise<unknown> {
    let token = tokenIn(headers);
    if (token) token = await sessions.fresh(token);
    let result: unknown = await http(request, { headers: withToken(headers, token) });
    if (token && isRefused(result)) {
      const next = await sessions.renewed(token);
      if (next !== token) {
        token = next;
        result = await http(request, { headers: withToken(headers, token) });
      }
    }
    onResult(request, result, token);
    return result;
  }

  // The type of a fetcher cannot say "a promise of a result or of a stream", which is what GraphiQL takes.
  return (async (params, opts) => {
    const document = tryParse(params.query);
    const operation = document && operationOf(document, params.operationName);
    const headers = headersFor(operation, opts?.headers ?? {});
    // GraphiQL derives the operation name a moment after an edit; the name in the document is never late.
    const request = operation ? { ...params, operationName: operation.name?.value } : params;
    if (operation?.operation !== 'subscription') return ask(request, headers);

    const token = tokenIn(headers);
    // A renewed token is no reason for another socket.
    const key = JSON.stringify(token && sessions.owns(token) ? [sessionOf(token), withToken(headers, '')] : headers);
    let client = clients.get(key);
    if (!client) {
      client = newClient(headers, sessions);
      clients.set(key, client);
    }
    return subscribe(client, request);
  }) as Fetcher;
}

function newClient(headers: Headers, sessions: Sessions): Client {
  const url = new URL(endpoint);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  let token = tokenIn(headers);
  let isRefused = false;
  return createClient({
    url: url.href,
    connectionParams: async () => {
      if (token) token = isRefused ? await sessions.renewed(token) : await sessions.fresh(token);
      return withToken(headers, token);
    },
    lazy: true,
    on: { connected: () => (isRefused = false) },
    // The default gives up at the first failed reconnect, for example while the server restarts. A token that has ended
    // is replaced once; refused again (4403), or when nothing can replace it, a retry would only hide the reason.
    retryAttempts: Infinity,
    shouldRetry: (error) => {
      if (closeCode(error) !== 4403) return true;
      const isFinal = isRefused || !token || !sessions.owns(token);
      isRefused = true;
      return !isFinal;
    },
    // The default waits before the first reconnect, too, and the reply would stand still.
    retryWait: (retries) =>
      new Promise((resolve) => setTimeout(resolve, retries && Math.min(1000 * 2 ** retries, 30_000) * Math.random())),
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

/** isRefused tells whether a result is nothing but the refusal of its token: nothing was done, so it may run again. */
function isRefused(result: unknown): boolean {
  if (!isRecord(result) || !Array.isArray(result.errors) || result.errors.length === 0) return false;
  const { data, errors } = result;
  return (
    (data == null || (isRecord(data) && Object.values(data).every((value) => value === null))) &&
    errors.every((error: unknown) => isRecord(error) && isRecord(error.extensions) && error.extensions.code === refusal)
  );
}

const refusal = 'UNAUTHENTICATED';

/** headersFor drops an Authorization header that is still empty, or that the operation does not need. */
function headersFor(operation: OperationDefinitionNode | undefined, headers: Headers): Headers {
  const isPublic = operation?.selectionSet.selections.every(
    (field) => field.kind === 'Field' && publicFields.has(field.name.value),
  );
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name, value]) => !isAuthorization(name) || !(isPublic || /^\s*(Bearer\s*)?$/i.test(String(value))),
    ),
  );
}

function isAuthorization(name: string): boolean {
  return name.toLowerCase() === 'authorization';
}

function tokenIn(headers: Headers): string | undefined {
  const value = Object.entries(headers).find(([name]) => isAuthorization(name))?.[1];
  return /^\s*Bearer\s+(\S+)\s*$/i.exec(String(value ?? ''))?.[1];
}

/** withToken replaces the token of headers that have one. */
function withToken(headers: Headers, token: string | undefined): Headers & HeadersInitRecord {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      isAuthorization(name) && token !== undefined ? `Bearer ${token}` : String(value),
    ]),
  );
}

type HeadersInitRecord = Record<string, string>;
