// What the tests without a browser use together, so that there is one of each class.
export { memoryStore, session } from '@parley/client';
export { Drafts } from '../../src/composer/drafts.ts';
export { Outbox } from '../../src/composer/outbox.ts';
export { post } from '../../src/composer/post.ts';
export * from '../../src/composer/sends.ts';
export { needsConversation } from '../../src/settings/choices.ts';
export * from '../../src/settings/form.ts';
