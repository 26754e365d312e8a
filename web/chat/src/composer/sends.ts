// What has been sent and not answered yet, as data: an event gives the next state, and nothing here touches the
// network, the clock or the storage. A send keeps its key through everything, so that the server stores it once.
import type { Choices } from '../settings/choices.ts';

export type OnBusy = 'REJECT' | 'QUEUE' | 'INTERRUPT';

/** What became of a send that is not stored yet, as far as anybody knows. */
export type SendState =
  | { name: 'sending'; tries: number }
  /** No answer came: it may be stored or not. The same key goes out again by itself. */
  | { name: 'unknown'; tries: number; retryAt: number }
  /** The server has too much to do, or this user too much at once. It goes out again by itself. */
  | { name: 'waiting'; tries: number; retryAt: number }
  /** Waits until the running reply has ended, since the user said so. */
  | { name: 'turn'; replyId: string | null }
  | { name: 'busy'; replyId: string | null }
  | { name: 'stale'; headId: string | null }
  /** until is when there is room again, in milliseconds; null when only deleting helps. */
  | { name: 'quota'; quota: string | null; until: number | null }
  /** most and have are in bytes for a long text, and in tokens for a long context; 0 when nobody said. */
  | { name: 'long' | 'context'; most: number; have: number }
  | { name: 'model'; model: string | null }
  | { name: 'full' }
  | { name: 'gone' }
  | { name: 'refused'; code: string; message: string };

export interface Outgoing {
  key: string;
  user: string;
  at: number;
  kind: 'send' | 'edit';
  conversationId: string | null;
  /** The question that is asked differently; null for a new one. */
  messageId: string | null;
  content: string;
  /** The last message that the user saw when they sent. */
  head: string | null;
  onBusy: OnBusy;
  /** What was chosen for a talk that does not exist yet. */
  choices: Choices | null;
  state: SendState;
}

/** What the server said, or that it said nothing. */
export type Answer =
  | { kind: 'sent'; conversationId: string; headId: string; messageId: string }
  | { kind: 'lost' }
  | { kind: 'refused'; code: string; message: string; extensions: Record<string, unknown> };

export type SendEvent =
  | { name: 'answered'; answer: Answer; now: number; random: number }
  /** The conversation was made, and the message comes next. */
  | { name: 'created'; conversationId: string }
  /** What the user wants now: with a new way, a new head, another model, or as it was. */
  | { name: 'again'; onBusy?: OnBusy; head?: string | null; model?: string | null }
  /** The user waits for the reply that is being written. */
  | { name: 'wait' }
  /** Another send of this conversation was stored. */
  | { name: 'passed'; before: string | null; head: string };

/** The days for which drafts and sends are kept here. A server knows a key for thirty. */
export const keptMs = 7 * 24 * 3600 * 1000;

/** isHeld tells whether the user has to decide before it goes out again. */
export function isHeld({ state }: Outgoing): boolean {
  return !['sending', 'unknown', 'waiting'].includes(state.name);
}

/** isPending tells whether it is shown as a question of its talk already, since nothing is wrong with it. */
export function isPending({ kind, state, onBusy }: Outgoing): boolean {
  return kind === 'send' && state.name === 'sending' && onBusy !== 'QUEUE';
}

/** step returns what a send is after an event; null when it is stored, and nothing is left to do. */
export function step(entry: Outgoing, event: SendEvent): Outgoing | null {
  switch (event.name) {
    case 'answered':
      return answered(entry, event.answer, event.now, event.random);
    case 'created':
      return { ...entry, conversationId: event.conversationId, choices: null };
    case 'wait':
      return entry.state.name === 'busy' ? { ...entry, state: { ...entry.state, name: 'turn' } } : entry;
    case 'again':
      return {
        ...entry,
        onBusy: event.onBusy ?? entry.onBusy,
        head: event.head === undefined ? entry.head : event.head,
        choices: event.model === undefined ? entry.choices : { ...entry.choices, model: event.model },
        state: { name: 'sending', tries: triesOf(entry) },
      };
    case 'passed':
      // What was typed behind it follows it: on its head, and in the queue, since its reply is being written now.
      if (entry.kind !== 'send' || entry.head !== event.before) return entry;
      return { ...entry, head: event.head, onBusy: entry.onBusy === 'REJECT' ? 'QUEUE' : entry.onBusy };
  }
}

function answered(entry: Outgoing, answer: Answer, now: number, random: number): Outgoing | null {
  if (answer.kind === 'sent') return null;
  const tries = triesOf(entry) + 1;
  if (answer.kind === 'lost') {
    return { ...entry, state: { name: 'unknown', tries, retryAt: now + backOff(tries, random) } };
  }
  // The key is this send's alone, so what it was used for is this send in the form it had before.
  if (answer.code === 'IDEMPOTENCY_CONFLICT') return null;
  return { ...entry, state: refused(answer, tries, now, random, entry.content) };
}

type Refusal = Extract<Answer, { kind: 'refused' }>;

function refused(answer: Refusal, tries: number, now: number, random: number, content: string): SendState {
  const { code, message, extensions } = answer;
  const wait = number(extensions.retryAfter) * 1000;
  switch (code) {
    case 'UNAVAILABLE':
      return { name: 'unknown', tries, retryAt: now + backOff(tries, random) };
    case 'OVERLOADED':
    case 'RATE_LIMITED':
      return { name: 'waiting', tries, retryAt: now + spread(wait || backOff(tries, random), random) };
    case 'QUOTA_EXCEEDED':
      // Without a day, replies that run hold what is left, and it comes back in seconds.
      if (wait && wait <= 60_000 && !extensions.resetsOn)
        return { name: 'waiting', tries, retryAt: now + spread(wait, random) };
      return { name: 'quota', quota: text(extensions.quota), until: wait ? now + wait : null };
    case 'CONVERSATION_BUSY':
      return { name: 'busy', replyId: text(extensions.messageId) };
    case 'STALE_HEAD':
      return { name: 'stale', headId: text(extensions.headId) };
    case 'QUEUE_FULL':
      return { name: 'full' };
    case 'NOT_FOUND':
      return { name: 'gone' };
    case 'CONTEXT_TOO_LONG':
      return { name: 'context', most: number(extensions.limitTokens), have: number(extensions.neededTokens) };
    case 'MODEL_REQUIRED':
    case 'MODEL_UNAVAILABLE':
      return { name: 'model', model: text(extensions.model) };
    case 'BAD_USER_INPUT':
      return badInput(answer, bytesOf(content));
    default:
      return { name: 'refused', code, message };
  }
}

function badInput({ code, message, extensions }: Refusal, have: number): SendState {
  const fields = (extensions.fields ?? {}) as Record<string, string>;
  if (fields.model) return { name: 'model', model: null };
  // The limit is in the phrase only; without it the sentence of the server is shown as it is.
  const most = Number(/(\d+) bytes/.exec(fields.content ?? '')?.[1] ?? 0);
  if (most > 0 && have > most) return { name: 'long', most, have };
  return { name: 'refused', code, message };
}

function triesOf({ state }: Outgoing): number {
  return 'tries' in state ? state.tries : 0;
}

/** From half a second to half a minute, so that a server that comes back is not met by all at once. */
function backOff(tries: number, random: number): number {
  return Math.min(30_000, 500 * 2 ** (tries - 1)) * (0.5 + random / 2);
}

/** Never before the time that the server named. */
function spread(ms: number, random: number): number {
  return ms * (1 + random / 10);
}

function number(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}

/** bytesOf counts as the server does. */
export function bytesOf(content: string): number {
  return new TextEncoder().encode(content).length;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** read takes an entry out of what was stored, or null when it is not one. */
export function read(stored: string | null, now: number): Outgoing | null {
  let entry: Outgoing;
  try {
    entry = JSON.parse(stored ?? 'null') as Outgoing;
  } catch {
    return null;
  }
  if (typeof entry?.key !== 'string' || typeof entry.user !== 'string' || typeof entry.content !== 'string')
    return null;
  if (typeof entry.at !== 'number' || now - entry.at > keptMs || typeof entry.state?.name !== 'string') return null;
  return entry;
}
