// Who is signed in, and the one connection to the server.
import { cookieStore, session as open } from '@parley/client';

export const session = open({ url: '/graphql', store: cookieStore('/session') });
