// What is to be seen, group by group, in the order in which it is made: each begins where the one before it ended.
import { faultsAreFound } from './faults.scenes.mjs';
import { account, lists, signedOut, start } from './frame.scenes.mjs';
import { hood, languages, line } from './line.scenes.mjs';
import { dialogs, messages, panels } from './talk.scenes.mjs';
import { sends } from './send.scenes.mjs';

export const scenes = {
  'who is not signed in': signedOut,
  'the empty start': start,
  'settings and account': account,
  'the list of conversations': lists,
  'messages in all their states': messages,
  'what opens in a conversation': panels,
  'what asks before it is done': dialogs,
  'sends that are not stored': sends,
  'under the hood': hood,
  'from right to left, and long words': languages,
  'faults are found, and other fonts are none': faultsAreFound,
  'the line': line,
};

/** Faults that a group is about: connections that are cut, and a password that is not right any more. */
export const allowed = {
  'sends that are not stored': /ERR_FAILED/,
  'the line': /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|WebSocket connection|401/,
};
