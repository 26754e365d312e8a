// Who is signed in, and the one connection to the server.
import { cookieStore, session as open } from '@parley/client';
import { idOf } from './known.ts';

export const session = open({ url: '/graphql', store: cookieStore('/session'), documentId: idOf });
