// Who is signed in, and the one connection to the server.
import { cookieStore, session as open } from '@parley/client';
import { recorded } from '../hood/recorded.ts';
import { recorder } from '../hood/recorder.ts';
import { idOf } from './known.ts';

const bare = open({ url: '/graphql', store: cookieStore('/session'), documentId: idOf });

export const session = recorded(bare, recorder);
