// Takes the pictures anew: the references, or with --full FOLDER pictures for people to look at, each as large as the
// screen and with the fonts of this machine.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { full } = parseArgs({ options: { full: { type: 'string' } } }).values;
const { status } = spawnSync(process.execPath, ['--test', join(import.meta.dirname, '../pictures.test.mjs')], {
  stdio: 'inherit',
  env: { ...process.env, ...(full ? { PARLEY_PICTURES: resolve(full) } : { PARLEY_PICTURES_WRITE: 'on' }) },
});
process.exit(status ?? 1);
