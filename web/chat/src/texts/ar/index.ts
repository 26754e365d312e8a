import type { Texts } from '../index.ts';
import en from '../en/index.ts';
import { account } from './account.ts';
import { app } from './app.ts';
import { sidebar } from './sidebar.ts';

// A section that is not translated yet is in English.
const texts: Texts = { ...en, account, app, sidebar };

export default texts;
