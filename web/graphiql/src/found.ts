import { asText, inputOf, isRecord, operationOf, rootFields, tryParse, type Fields } from './documents';

/** A request, as much of it as says what its result means. */
export interface Request {
  query: string;
  operationName?: string | null;
  variables?: unknown;
}

/** What the page takes from a result to spare the user copying it. */
export interface Found {
  accessToken?: string;
  refreshToken?: string;
  userName?: string;
  signedOut?: boolean;
  conversationId?: string;
  deletedConversationId?: string;
  replyId?: string;
  /** The question of the reply. */
  questionId?: string;
  /** The version that another one has taken the place of. */
  leftId?: string;
  summaryId?: string;
  /** Who wanted to sign up with an address that has an account. */
  taken?: { email: string; password: string };
}

/** find looks through the root fields of a mutation's result, under any alias. */
export function find(request: Request, result: unknown): Found | undefined {
  const document = tryParse(request.query);
  const operation = document && operationOf(document, request.operationName);
  if (operation?.operation !== 'mutation' || !isRecord(result)) return undefined;
  const found: Found = {};
  for (const field of rootFields(operation)) {
    const alias = (field.alias ?? field.name).value;
    const value = isRecord(result.data) ? result.data[alias] : undefined;
    const input = inputOf(field, isRecord(request.variables) ? request.variables : {});
    if (isRecord(value)) take(found, field.name.value, value, input);
    else if (field.name.value === 'signUp' && isTaken(result.errors, alias)) {
      const { email, password } = input;
      found.taken = { email: asText(email) ?? '', password: asText(password) ?? '' };
    }
  }
  return Object.values(found).some((value) => value !== undefined) ? found : undefined;
}

/** The mutations that make another conversation the latest one. */
const beginning = ['sendMessage', 'createConversation', 'forkConversation', 'addMessages'];

/** The mutations that put another version beside the one they are given. */
const versioning = ['regenerateReply', 'editMessage', 'continueReply'];

function take(found: Found, field: string, value: Fields, input: Fields): void {
  if (asText(value.accessToken)) {
    found.accessToken = asText(value.accessToken);
    found.refreshToken = asText(value.refreshToken);
    if (isRecord(value.user)) found.userName = asText(value.user.email) ?? asText(value.user.name);
  }
  if (field === 'signOut') found.signedOut = true;
  if (field === 'deleteConversation') found.deletedConversationId = asText(value.conversationId);
  if (beginning.includes(field) && isRecord(value.conversation)) {
    found.conversationId = asText(value.conversation.id);
  }
  if (field === 'summarizeConversation' && isRecord(value.summary)) found.summaryId = asText(value.summary.id);
  if (isRecord(value.reply)) found.replyId = asText(value.reply.id);
  if (isRecord(value.userMessage)) found.questionId = asText(value.userMessage.id);
  if (versioning.includes(field)) found.leftId = asText(input.messageId);
}

/** isTaken tells whether a sign-up was refused for its address alone, and not because that is no address. */
function isTaken(errors: unknown, alias: string): boolean {
  return (
    Array.isArray(errors) &&
    errors.some((error: unknown) => {
      if (!isRecord(error) || !isRecord(error.extensions) || !isRecord(error.extensions.fields)) return false;
      const isHere = Array.isArray(error.path) && error.path[0] === alias;
      return isHere && (asText(error.extensions.fields.email) ?? '').includes('account');
    })
  );
}
