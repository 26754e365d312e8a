import type { Texts } from '../index.ts';
import { account } from './account.ts';
import { app } from './app.ts';
import { composer } from './composer.ts';
import { hood } from './hood.ts';
import { markdown } from './markdown.ts';
import { settings } from './settings.ts';
import { sidebar } from './sidebar.ts';
import { talk } from './talk.ts';

const texts: Texts = { account, app, composer, hood, markdown, settings, sidebar, talk };

export default texts;
